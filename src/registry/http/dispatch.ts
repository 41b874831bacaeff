/** From a request to its handler, and from what is thrown to an answer. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Actor, ANONYMOUS } from "../auth/auth.ts";
import { RegistryError } from "../errors.ts";
import { loanFor } from "../lend.ts";
import { checkName } from "../names.ts";
import { contentLength } from "./body.ts";
import type { Exchange, Services } from "./exchange.ts";
import { sendError, toRegistryError } from "./reply.ts";
import { type Action, type Endpoint, ROUTES, type Route } from "./routes.ts";

/** A body that nobody reads: so much of it is read and forgotten, so that the client sees the answer. Bytes. */
const DRAIN_LIMIT = 1 << 20;

type Call = Pick<Exchange, "query" | "params" | "name">;

/** Answers; never rejects. */
export async function dispatch(services: Services, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const observed = observe(services, request, response);
  response.setHeader("Docker-Distribution-API-Version", "registry/2.0");
  response.setHeader("X-Content-Type-Options", "nosniff");
  try {
    const { endpoint, route, ...call } = callOf(services, request);
    observed.route = route.name;
    const namespace = call.query.get("ns");
    if (namespace !== null && call.name.startsWith(`${namespace}/`)) response.setHeader("OCI-Namespace", namespace);
    const actor = await admit(services, { ...call, request, action: endpoint.action });
    const loan = loanFor(services.lender, request.socket, services.storage, services.quotas);
    await endpoint.handle({ ...services, ...call, request, response, actor, loan });
  } catch (error) {
    answerFailure(error, { services, request, response });
  } finally {
    if (!request.readableEnded && contentLength(request) !== 0) drain(request);
  }
}

/** Counts the request when its answer has ended; the route is filled in when it is known. */
function observe({ metrics }: Services, request: IncomingMessage, response: ServerResponse): { route: string } {
  const observed = { route: "none" };
  const start = performance.now();
  metrics.begin();
  response.once("close", () => {
    const seconds = (performance.now() - start) / 1000;
    const { method = "", socket } = request;
    metrics.end({ ...observed, method, status: response.statusCode, seconds, socket });
  });
  return observed;
}

/** Who it is, when he may. Throws UNAUTHORIZED, DENIED, or UNSUPPORTED for what nobody may here. */
async function admit(services: Services, wish: Omit<Wish, "actor">): Promise<Actor> {
  const { action, name, request } = wish;
  // Tokens are asked for with credentials of another kind.
  if (action === "open") return ANONYMOUS;
  const actor = await services.auth.identify(request);
  if (action === "any") return actor;
  authorise(services, { ...wish, action, actor });
  if (action !== "pull" && !services.storage.writable) throw readOnly();
  if (action === "push" && services.cache.covers(name)) throw copied(name);
  return actor;
}

function callOf(
  { cache }: Services,
  request: IncomingMessage,
): Call & { readonly endpoint: Endpoint; readonly route: Route } {
  const { path, query } = splitUrl(request.url ?? "/");
  const found = find(path);
  if (found === undefined) throw new RegistryError("UNSUPPORTED", "no such endpoint", { status: 404 });
  const { route, params } = found;
  const endpoint = route.methods[request.method ?? ""];
  if (endpoint === undefined)
    throw new RegistryError("UNSUPPORTED", `${request.method} is not supported here`, {
      headers: { Allow: Object.keys(route.methods).join(", ") },
    });
  const name = params.name === undefined ? "" : checkName(params.name);
  // A client that takes us for a mirror of several registries says which one it means.
  const meant = endpoint.action === "pull" ? cache.nameFor(name, query.get("ns") ?? "") : undefined;
  return { query, params, name: meant ?? name, endpoint, route };
}

interface Wish extends Call {
  readonly request: IncomingMessage;
  readonly action: Endpoint["action"];
  readonly actor: Actor;
}

/** Throws UNAUTHORIZED or DENIED. A mount asks for its source too; without it, it goes on as an upload. */
function authorise(
  { auth }: Services,
  { request, actor, name, action, query }: Wish & { readonly action: Action },
): void {
  if (name === "") {
    auth.checkKnown(request, actor);
    return;
  }
  const from = query.has("mount") ? query.get("from") : null;
  const source = from !== null && auth.mayAsk(actor, from, "pull") ? [{ name: from, action: "pull" as const }] : [];
  auth.check(request, actor, [{ name, action }, ...source]);
}

function splitUrl(url: string): { readonly path: string; readonly query: URLSearchParams } {
  const at = url.indexOf("?");
  const raw = at < 0 ? url : url.slice(0, at);
  try {
    return { path: decodeURIComponent(raw), query: new URLSearchParams(at < 0 ? "" : url.slice(at + 1)) };
  } catch {
    throw new RegistryError("NAME_INVALID", "the path is not properly encoded");
  }
}

function find(path: string): { readonly route: Route; readonly params: Readonly<Record<string, string>> } | undefined {
  for (const route of ROUTES) {
    const match = route.path.exec(path);
    if (match !== null) return { route, params: match.groups ?? {} };
  }
  return undefined;
}

function copied(name: string): RegistryError {
  return new RegistryError("UNSUPPORTED", `${name} is the copy of another registry's repository: push it there`);
}

function readOnly(): RegistryError {
  return new RegistryError("UNSUPPORTED", "this registry is read-only");
}

interface Failed {
  readonly services: Services;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

function answerFailure(error: unknown, { services, request, response }: Failed): void {
  if (request.destroyed && !request.complete) {
    response.destroy();
    return;
  }
  const known = toRegistryError(error);
  if (known.status >= 500)
    services.logger.log("error", "request failed", {
      request: `${request.method} ${request.url}`,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  if (response.headersSent || response.destroyed) response.destroy();
  else sendError(response, known);
}

/** The answer goes out before the connection: a client that is still sending would not read it after a reset. */
function drain(request: IncomingMessage): void {
  if (request.destroyed) return;
  let left = DRAIN_LIMIT;
  const forget = (chunk: Buffer) => {
    left -= chunk.length;
    if (left >= 0) return;
    request.off("data", forget).pause();
    request.socket.destroySoon();
  };
  request.on("data", forget);
}
