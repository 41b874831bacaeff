/** The system: ping, version, info, events, disk usage. */
import { EngineError } from "../../base/errors.ts";
import { filters, texts, timestamp } from "../query.ts";
import { type Call, json, type Reply, type Route, route } from "../route.ts";
import type { EventMessage } from "../types/system.ts";

/** Old clients choose the builder by this: "2" is BuildKit's, which asks a session for what it needs. */
const PING_HEADERS = {
  "Builder-Version": "2",
  Swarm: "inactive",
  "Cache-Control": "no-cache, no-store, must-revalidate",
  Pragma: "no-cache",
};

const eventsQuery = { since: timestamp, until: timestamp, filters: filters() };

export const systemRoutes: readonly Route[] = [
  route("GET", "/_ping", { handle: () => ({ kind: "text", status: 200, text: "OK", headers: PING_HEADERS }) }),
  route("HEAD", "/_ping", {
    handle: () => ({
      kind: "empty",
      status: 200,
      headers: { ...PING_HEADERS, "Content-Type": "text/plain; charset=utf-8", "Content-Length": "0" },
    }),
  }),
  route("GET", "/version", { handle: ({ engine }) => json(engine.system.version()) }),
  route("GET", "/info", { handle: async ({ engine }) => json(await engine.system.info()) }),
  route("GET", "/events", { query: eventsQuery, handle: events }),
  route("GET", "/system/df", {
    query: { type: texts },
    handle: async ({ engine, query, version }) =>
      json(await engine.system.diskUsage(version < 42 ? [] : usageTypes(query.type))),
  }),
];

const USAGE_TYPES: readonly string[] = ["container", "image", "volume", "build-cache"];

function usageTypes(types: readonly string[]): readonly string[] {
  for (const type of types)
    if (!USAGE_TYPES.includes(type)) throw new EngineError("invalid", `unknown object type: ${type}`);
  return types;
}

type EventsCall = Call<"/events", typeof eventsQuery>;

function events({ engine, query, signal }: EventsCall): Reply {
  const { since, until } = query;
  if (since !== undefined && until !== undefined && since > until)
    throw new EngineError(
      "invalid",
      `\`since\` time (${since / 1_000_000_000n}) cannot be after \`until\` time (${until / 1_000_000_000n})`,
    );
  return { kind: "lines", source: withOldFields(engine.events.subscribe({ ...query, signal })), eager: true };
}

/** `status`, `id` and `from` left the API with 1.52; until then many watchers read nothing else. */
async function* withOldFields(messages: AsyncIterable<EventMessage>): AsyncGenerator<object> {
  for await (const message of messages) {
    const { Type, Action, Actor } = message;
    const old =
      Type === "container"
        ? { status: Action, id: Actor.ID, from: Actor.Attributes.image }
        : { status: Action, id: Actor.ID };
    yield Type === "container" || Type === "image" ? { ...old, ...message } : message;
  }
}
