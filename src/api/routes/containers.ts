/** Containers: life, listing, files, streams. */
import { EngineError } from "../../base/errors.ts";
import type { AttachOptions, PathStat, WaitCondition } from "../../containers/containers.ts";
import { adaptCreate } from "../compat.ts";
import { ACCEPTED } from "../filters.ts";
import { containerConfig, containerCreate, containerUpdate } from "../json/requests.ts";
import {
  filters,
  flag,
  flagOnByDefault,
  integer,
  required,
  requiredInteger,
  text,
  texts,
  timestamp,
  verbatim,
} from "../query.ts";
import { type Call, empty, json, type Route, route } from "../route.ts";
import type { ContainerWaitResult } from "../types/container.ts";

const attachQuery = { detachKeys: verbatim, logs: flag, stream: flag, stdin: flag, stdout: flag, stderr: flag };
const stopQuery = { t: integer, signal: text };
const logsQuery = {
  follow: flag,
  stdout: flag,
  stderr: flag,
  since: timestamp,
  until: timestamp,
  timestamps: flag,
  tail: verbatim,
  details: flag,
};
const statsQuery = { stream: flagOnByDefault, "one-shot": flag };
const commitQuery = {
  container: required,
  repo: text,
  tag: text,
  comment: text,
  author: text,
  pause: flagOnByDefault,
  changes: texts,
};
const archiveQuery = { path: required };

export const containerRoutes: readonly Route[] = [
  route("GET", "/containers/json", {
    query: { all: flag, limit: integer, size: flag, filters: filters(ACCEPTED.containers) },
    handle: async ({ engine, query }) => {
      const limit = query.limit !== undefined && query.limit > 0 ? query.limit : undefined;
      return json(await engine.containers.list({ ...query, limit }));
    },
  }),
  route("POST", "/containers/create", {
    query: { name: text, platform: text },
    handle: async ({ engine, query, version, ...call }) => {
      const request = await call.json(containerCreate);
      if (request === undefined) throw new EngineError("invalid", "invalid JSON: got EOF while reading request body");
      return json(await engine.containers.create(query.name, adaptCreate(request, version), query.platform), 201);
    },
  }),
  route("POST", "/containers/prune", {
    since: 25,
    query: { filters: filters(ACCEPTED.pruneContainers) },
    handle: async ({ engine, query }) => json(await engine.containers.prune(query.filters)),
  }),
  route("GET", "/containers/{id}/json", {
    query: { size: flag },
    handle: async ({ engine, path, query }) => json(await engine.containers.inspect(path.id, query)),
  }),
  route("GET", "/containers/{id}/top", {
    query: { ps_args: text },
    handle: async ({ engine, path, query }) => json(await engine.containers.top(path.id, query.ps_args)),
  }),
  route("GET", "/containers/{id}/logs", {
    query: logsQuery,
    handle: logs,
  }),
  route("GET", "/containers/{id}/changes", {
    handle: async ({ engine, path }) => json(await engine.containers.changes(path.id)),
  }),
  route("GET", "/containers/{id}/export", {
    handle: async ({ engine, path }) => ({
      kind: "bytes",
      type: "application/octet-stream",
      source: await engine.containers.export(path.id),
    }),
  }),
  route("GET", "/containers/{id}/stats", { query: statsQuery, handle: stats }),
  route("POST", "/containers/{id}/resize", {
    query: { h: requiredInteger, w: requiredInteger },
    handle: async ({ engine, path, query }) => {
      await engine.containers.resize(path.id, query.h, query.w);
      return empty(200);
    },
  }),
  route("POST", "/containers/{id}/start", {
    query: { detachKeys: verbatim, checkpoint: text, "checkpoint-dir": text },
    handle: async ({
      engine,
      path,
      query: { detachKeys, checkpoint = "", "checkpoint-dir": folder = "" },
      request,
    }) => {
      refuseHostConfig(request.headers);
      if (checkpoint !== "" || folder !== "")
        throw new EngineError("not-implemented", "checkpoints are not implemented", {
          hint: "Start the container without one.",
        });
      await engine.containers.start(path.id, { detachKeys });
      return empty();
    },
  }),
  route("POST", "/containers/{id}/stop", {
    query: stopQuery,
    handle: async ({ engine, path, query, version }) => {
      await engine.containers.stop(path.id, stopOptions(query, version));
      return empty();
    },
  }),
  route("POST", "/containers/{id}/restart", {
    query: stopQuery,
    handle: async ({ engine, path, query, version }) => {
      await engine.containers.restart(path.id, stopOptions(query, version));
      return empty();
    },
  }),
  route("POST", "/containers/{id}/kill", {
    query: { signal: text },
    handle: async ({ engine, path, query }) => {
      await engine.containers.kill(path.id, query.signal);
      return empty();
    },
  }),
  route("POST", "/containers/{id}/update", {
    handle: async ({ engine, path, ...call }) =>
      json(await engine.containers.update(path.id, (await call.json(containerUpdate)) ?? {})),
  }),
  route("POST", "/commit", {
    query: commitQuery,
    handle: async ({ engine, query, ...call }) => {
      const { container, comment: message, ...options } = query;
      const config = await call.json(containerConfig);
      return json({ Id: await engine.containers.commit(container, { ...options, message, config }) }, 201);
    },
  }),
  route("POST", "/containers/{id}/rename", {
    query: { name: verbatim },
    handle: async ({ engine, path, query }) => {
      await engine.containers.rename(path.id, query.name ?? "");
      return empty();
    },
  }),
  route("POST", "/containers/{id}/pause", {
    handle: async ({ engine, path }) => {
      await engine.containers.pause(path.id);
      return empty();
    },
  }),
  route("POST", "/containers/{id}/unpause", {
    handle: async ({ engine, path }) => {
      await engine.containers.unpause(path.id);
      return empty();
    },
  }),
  route("POST", "/containers/{id}/attach", {
    query: attachQuery,
    takesOver: "tcp",
    handle: async ({ engine, path, query }) => ({
      kind: "hijack",
      prepared: await engine.containers.attach(path.id, query),
    }),
  }),
  route("GET", "/containers/{id}/attach/ws", {
    query: attachQuery,
    takesOver: "websocket",
    handle: async ({ engine, path, query, version, request }) => {
      if (request.headers.upgrade?.toLowerCase() !== "websocket")
        throw new EngineError("invalid", "bad websocket handshake");
      return { kind: "websocket", prepared: await engine.containers.attach(path.id, webSocketOptions(query, version)) };
    },
  }),
  route("POST", "/containers/{id}/wait", { query: { condition: text }, handle: wait }),
  route("HEAD", "/containers/{id}/archive", {
    query: archiveQuery,
    handle: async ({ engine, path, query }) =>
      empty(200, statHeader(await engine.containers.statPath(path.id, query.path))),
  }),
  route("GET", "/containers/{id}/archive", {
    query: archiveQuery,
    handle: async ({ engine, path, query }) => {
      const { stat, tar } = await engine.containers.copyFrom(path.id, query.path);
      return { kind: "bytes", type: "application/x-tar", headers: statHeader(stat), source: tar };
    },
  }),
  route("PUT", "/containers/{id}/archive", {
    query: { ...archiveQuery, noOverwriteDirNonDir: flag, copyUIDGID: flag },
    handle: async ({ engine, path, query, request }) => {
      const { noOverwriteDirNonDir, copyUIDGID: copyUidGid } = query;
      await engine.containers.copyTo(path.id, query.path, request, { noOverwriteDirNonDir, copyUidGid });
      return empty(200);
    },
  }),
  route("DELETE", "/containers/{id}", {
    query: { force: flag, v: flag, link: flag },
    handle: async ({ engine, path, query: { force, v: volumes, link } }) => {
      await engine.containers.remove(path.id, { force, volumes, link });
      return empty();
    },
  }),
];

/** Unless `signal` exists for this version. */
const stopOptions = (
  { t: timeout, signal }: { t: number | undefined; signal: string | undefined },
  version: number,
) => ({
  timeout,
  signal: version < 42 ? undefined : signal,
});

/** Before 1.42 a websocket was attached to every stream. */
const webSocketOptions = (query: AttachOptions, version: number): AttachOptions =>
  version < 42 ? { ...query, stream: true, stdin: true, stdout: true, stderr: true } : query;

/** A host configuration with `start` was removed in 1.24. */
function refuseHostConfig(headers: Call["request"]["headers"]): void {
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 7)
    throw new EngineError(
      "invalid",
      "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    );
}

type LogsCall = Call<"/containers/{id}/logs", typeof logsQuery>;

async function logs({ engine, path, query, version, signal }: LogsCall) {
  if (!query.stdout && !query.stderr)
    throw new EngineError("invalid", "Bad parameters: you must choose at least one stream");
  const { raw, chunks } = await engine.containers.logs(path.id, {
    ...query,
    tail: linesOf(query.tail),
    reuse: true,
    signal,
  });
  const type = raw || version < 42 ? "application/vnd.docker.raw-stream" : "application/vnd.docker.multiplexed-stream";
  return { kind: "bytes", type, source: chunks, eager: query.follow, reused: true } as const;
}

/** Lines from the end; "all", nothing, negative or no number at all: every line. */
function linesOf(tail: string | undefined): number | undefined {
  return tail !== undefined && /^\d{1,15}$/.test(tail) ? Number(tail) : undefined;
}

type StatsCall = Call<"/containers/{id}/stats", typeof statsQuery>;

async function stats({ engine, path, query, signal }: StatsCall) {
  const { stream, "one-shot": oneShot } = query;
  if (stream && oneShot) throw new EngineError("invalid", "cannot have stream=true and one-shot=true");
  return { kind: "lines", source: engine.containers.stats(path.id, { stream, oneShot, signal }) } as const;
}

const CONDITIONS: readonly string[] = ["not-running", "next-exit", "removed"];

async function wait({
  engine,
  path,
  query,
  version,
  signal,
}: Call<"/containers/{id}/wait", { condition: typeof text }>) {
  const condition = (version >= 30 ? query.condition : undefined) ?? "not-running";
  if (!CONDITIONS.includes(condition))
    throw new EngineError("invalid", `invalid condition: ${JSON.stringify(condition)}`);
  const { result } = await engine.containers.wait(path.id, condition as WaitCondition, signal);
  if (version < 30) return json(await result.then(waitResult));
  return { kind: "later", value: result.then(waitResult, waitFailure) } as const;
}

/** Clients take any Error object for a failure of the wait, an empty one too. */
const waitResult = ({ StatusCode, Error: error }: ContainerWaitResult) =>
  error?.Message === undefined || error.Message === "" ? { StatusCode } : { StatusCode, Error: error };

const waitFailure = (error: unknown) => ({
  StatusCode: -1,
  Error: { Message: error instanceof Error ? error.message : String(error) },
});

const statHeader = (stat: PathStat) => ({
  "X-Docker-Container-Path-Stat": Buffer.from(JSON.stringify(stat)).toString("base64"),
});
