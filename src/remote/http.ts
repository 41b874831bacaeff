/** One request and its answer: redirects followed within bounds, failures explained, credentials never carried to another host. */
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Connections } from "./connections.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Made anew for each time it is sent. */
  readonly body?: (() => Buffer | Readable) | undefined;
  readonly insecure?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until the answer's headers; default a minute. */
  readonly patience?: number | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names; repeated ones joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Must be read, or given to `discard`. */
  readonly body: Dispatcher.ResponseData["body"];
  /** After redirects. */
  readonly url: URL;
}

const REDIRECTS = 10;
const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);
/** Milliseconds. */
const PATIENCE = 60_000;
/** Milliseconds that a body may pause. */
const PAUSE = 60_000;

/** Rejects with "unavailable" when there was no answer (`isConnectionError`), "invalid" for senseless redirects, "cancelled". */
export async function exchange(request: HttpRequest, connections: Connections): Promise<HttpAnswer> {
  let current = request;
  for (let hop = 0; ; hop++) {
    const answer = await sendOnce(current, connections);
    if (!REDIRECT_STATUSES.has(answer.status) || !followed(current)) return answer;
    await discard(answer);
    if (hop === REDIRECTS)
      throw new EngineError(
        "invalid",
        `${request.url.host} redirects in circles: stopped after ${REDIRECTS} redirects`,
      );
    current = redirected(current, answer);
  }
}

/** Reads what is left of the body if it is short, so that the connection can be used again. */
export async function discard({ body }: Pick<HttpAnswer, "body">): Promise<void> {
  await body.dump({ limit: 64 << 10 }).catch(() => {});
}

/** At most `limit` bytes; "invalid" beyond. `what` names the document. */
export async function readBody({ body }: HttpAnswer, limit: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) {
      body.on("error", () => {}).destroy();
      throw new EngineError("invalid", `${what} has more than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function followed({ method, body }: HttpRequest): boolean {
  return method === "GET" || method === "HEAD" || body === undefined;
}

function redirected(request: HttpRequest, { headers, url }: HttpAnswer): HttpRequest {
  const { location } = headers;
  const target = location === undefined ? null : URL.parse(location, url);
  if (target === null || (target.protocol !== "https:" && target.protocol !== "http:"))
    throw new EngineError(
      "invalid",
      `${url.host} redirects to ${JSON.stringify(location?.slice(0, 200) ?? "nowhere")}`,
    );
  if (target.origin === url.origin) return { ...request, url: target };
  const { Authorization: _, ...others } = request.headers ?? {};
  return { ...request, url: target, headers: others, insecure: false };
}

async function sendOnce(request: HttpRequest, connections: Connections): Promise<HttpAnswer> {
  const { method, url, headers = {}, body, insecure = false, signal, patience = PATIENCE } = request;
  signal?.throwIfAborted();
  const dispatcher = await connections.dispatcher(url, insecure);
  try {
    const answer = await dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: { "User-Agent": "gantry", ...headers },
      body: body?.() ?? null,
      signal: signal ?? null,
      headersTimeout: patience,
      bodyTimeout: PAUSE,
    });
    // Whoever reads hears of its errors; when nobody does any more, they are nobody's.
    answer.body.on("error", () => {});
    return { status: answer.statusCode, headers: flatHeaders(answer.headers), body: answer.body, url };
  } catch (error) {
    throw explainFailure(error, url);
  }
}

function flatHeaders(headers: Readonly<Record<string, string | string[] | undefined>>) {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
}

/** "unavailable" with the reason in words; what is an EngineError or an abort already stays. */
export function explainFailure(error: unknown, url: URL): unknown {
  if (error instanceof EngineError) return error;
  if (error instanceof Error && error.name === "AbortError") return new EngineError("cancelled", "request cancelled");
  const [why, hint] = reasonOf(error, url.host);
  return new EngineError("unavailable", `cannot reach ${url.host}: ${why}`, { hint, cause: error });
}

const TRUST = (host: string) =>
  `Put its authority's certificate into /etc/docker/certs.d/${host}/ca.crt, or name the registry in insecure-registries.`;

/** By the system's or the library's code. */
const REASONS: Readonly<Record<string, (host: string, text: string) => readonly [why: string, hint?: string]>> = {
  ENOTFOUND: (host) => [`no such host: ${host}`],
  EAI_AGAIN: (host) => [`the name ${host} cannot be looked up now`],
  EPROTO: (host, text) =>
    /wrong version number|packet length too long|http request/i.test(text)
      ? ["server gave HTTP response to HTTPS client", `If it is meant to be so, name ${host} in insecure-registries.`]
      : [text],
  UND_ERR_CONNECT_TIMEOUT: () => ["the connection was not answered in time"],
  UND_ERR_HEADERS_TIMEOUT: () => ["the request was not answered in time"],
  UND_ERR_BODY_TIMEOUT: () => ["the answer stopped half-way"],
};

function reasonOf(error: unknown, host: string): readonly [why: string, hint?: string] {
  const code = errnoOf(error) ?? "";
  const text = deepestMessage(error);
  const known = REASONS[code] ?? (/wrong version number/i.test(text) ? REASONS.EPROTO : undefined);
  if (known !== undefined) return known(host, text);
  if (/CERT|SELF_SIGNED|ISSUER|ALTNAME|VERIFY/.test(code))
    return [`its certificate is not trusted: ${text.replace(/; if the root CA .*/s, "")}`, TRUST(host)];
  return [text];
}

/** Of several addresses that were tried, each has its error. */
function deepestMessage(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(errorMessage).join("; ");
  const message = errorMessage(error);
  return message === "" && error instanceof Error && error.cause !== undefined ? deepestMessage(error.cause) : message;
}
