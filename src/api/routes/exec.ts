/** Exec: a further process in a running container. */
import { EngineError } from "../../base/errors.ts";
import { execCreate, execStart } from "../json/requests.ts";
import { requiredInteger } from "../query.ts";
import { empty, json, type Route, route } from "../route.ts";

export const execRoutes: readonly Route[] = [
  route("POST", "/containers/{id}/exec", {
    handle: async ({ engine, path, version, ...call }) => {
      const request = (await call.json(execCreate)) ?? {};
      if ((request.Cmd ?? []).length === 0) throw new EngineError("invalid", "no exec command specified");
      const ConsoleSize = version < 42 ? undefined : request.ConsoleSize;
      return json({ Id: await engine.containers.execCreate(path.id, { ...request, ConsoleSize }) }, 201);
    },
  }),
  route("POST", "/exec/{id}/start", {
    takesOver: "tcp",
    handle: async ({ engine, path, version, ...call }) => {
      const request = (await call.json(execStart)) ?? {};
      const ConsoleSize = version < 42 ? undefined : request.ConsoleSize;
      const prepared = await engine.containers.execStart(path.id, { ...request, ConsoleSize });
      return prepared === undefined ? empty(200) : { kind: "hijack", prepared };
    },
  }),
  route("POST", "/exec/{id}/resize", {
    query: { h: requiredInteger, w: requiredInteger },
    handle: async ({ engine, path, query }) => {
      await engine.containers.execResize(path.id, query.h, query.w);
      return empty(200);
    },
  }),
  route("GET", "/exec/{id}/json", { handle: ({ engine, path }) => json(engine.containers.execInspect(path.id)) }),
];
