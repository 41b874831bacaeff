/** Requests to one daemon: version prefix, query, JSON, errors by kind. Everything in `client/` goes through it. */
import type { Duplex } from "node:stream";
import { EngineError, type ErrorKind } from "../base/errors.ts";
import { dial } from "./dial.ts";
import { type Endpoint, hostText } from "./host.ts";
import { exchange, type Request, type Response } from "./http.ts";

export type QueryValue =
  | string
  | number
  | boolean
  | readonly string[]
  | Readonly<Record<string, readonly string[]>>
  | undefined;
/** The cause of errors that the daemon answered; the client's own have none of this kind. */
export class DaemonAnswer {
  readonly status: number;
  constructor(status: number) {
    this.status = status;
  }
}

/** Undefined, false and "" are left out; arrays repeat; records of arrays are sent as JSON (filters). */
export type Query = Readonly<Record<string, QueryValue>>;

export interface Call {
  readonly query?: Query | undefined;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array | undefined;
  readonly contentType?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Hijacked {
  readonly stream: Duplex;
  /** True: frames with 8-byte headers; false: raw bytes of a terminal; undefined: the daemon did not say. */
  readonly framed: boolean | undefined;
}

export interface TransportOptions {
  readonly endpoint: Endpoint;
  /** Default: 1.51, lowered once when the daemon says it is too new. */
  readonly version?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly userAgent?: string | undefined;
  /** Called when nobody answers; true: try once more (it started a daemon). */
  readonly onUnavailable?: ((error: unknown) => Promise<boolean>) | undefined;
}

export const API_VERSION = "1.51";

export interface Transport {
  readonly endpoint: Endpoint;
  /** As negotiated so far. */
  readonly version: string;
  /** The response as it is, after errors were thrown. */
  call(method: string, path: string, call?: Call): Promise<Response>;
  /** The answer's JSON; undefined when it has none. */
  json<T>(method: string, path: string, call?: Call): Promise<T>;
  /** The answer's text, unparsed. */
  text(method: string, path: string, call?: Call): Promise<string>;
  /** Takes the connection over. */
  hijack(path: string, call?: Call): Promise<Hijacked>;
  /** A bare connection. */
  open(): Promise<Duplex>;
}

export function createTransport(options: TransportOptions): Transport {
  return new SocketTransport(options);
}

const KINDS: Readonly<Record<number, ErrorKind>> = {
  304: "not-modified",
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  409: "conflict",
  413: "too-large",
  499: "cancelled",
  501: "not-implemented",
  503: "unavailable",
};

class SocketTransport implements Transport {
  readonly endpoint: Endpoint;
  readonly #options: TransportOptions;
  #version: string;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.endpoint = options.endpoint;
    this.#version = options.version ?? API_VERSION;
  }

  get version(): string {
    return this.#version;
  }

  async call(method: string, path: string, call: Call = {}): Promise<Response> {
    return await this.#send(method, path, call, false);
  }

  async json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const text = await this.text(method, path, call);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async text(method: string, path: string, call: Call = {}): Promise<string> {
    return await readText((await this.call(method, path, call)).body);
  }

  async hijack(path: string, call: Call = {}): Promise<Hijacked> {
    const response = await this.#send("POST", path, call, true);
    const type = response.headers["content-type"] ?? "";
    const framed = type.includes("multiplexed-stream")
      ? true
      : type.includes("raw-stream") && minor(this.#version) >= 42
        ? false
        : undefined;
    return { stream: response.hijack(), framed };
  }

  async open(): Promise<Duplex> {
    return await this.#dial(undefined);
  }

  async #dial(signal: AbortSignal | undefined): Promise<Duplex> {
    try {
      return await dial(this.endpoint, signal);
    } catch (error) {
      const again = (error as EngineError).kind === "unavailable" && (await this.#options.onUnavailable?.(error));
      if (!again) throw error;
      return await dial(this.endpoint, signal);
    }
  }

  async #send(method: string, path: string, call: Call, upgrade: boolean): Promise<Response> {
    const socket = await this.#dial(call.signal);
    const abort = () => socket.destroy(new EngineError("cancelled", "context canceled"));
    if (call.signal?.aborted) abort();
    call.signal?.addEventListener("abort", abort, { once: true });
    socket.once("close", () => call.signal?.removeEventListener("abort", abort));
    const response = await exchange(socket, this.#request(method, path, call, upgrade));
    if (response.status < 300) return response;
    const lower = await this.#fail(method, path, response);
    this.#version = lower;
    return await this.#send(method, path, call, upgrade);
  }

  #request(method: string, path: string, call: Call, upgrade: boolean): Request {
    const base = this.endpoint.kind === "tcp" ? this.endpoint.base : "";
    const body = call.json === undefined ? call.body : JSON.stringify(call.json);
    const type =
      call.contentType ??
      (call.json === undefined ? (body === undefined ? undefined : "application/x-tar") : "application/json");
    return {
      method,
      path: `${base}/v${this.#version}${path}${queryText(call.query)}`,
      host:
        this.endpoint.kind === "tcp"
          ? hostText(this.endpoint).replace(/^tcp:\/\/([^/]*).*$/, "$1")
          : "api.moby.localhost",
      headers: {
        "User-Agent": this.#options.userAgent ?? "gantry",
        ...this.#options.headers,
        ...(type === undefined ? {} : { "Content-Type": type }),
        ...call.headers,
      },
      body,
      upgrade,
    };
  }

  /** Throws the error that the answer tells of; returns the version to go on with when that was all that was wrong. */
  async #fail(method: string, path: string, response: Response): Promise<string> {
    const text = method === "HEAD" ? "" : await readText(response.body);
    response.close();
    const message =
      errorText(text) ??
      (response.status === 304
        ? "not modified"
        : `request returned ${response.status} for API route and version ${path}, check if the server supports the requested API version`);
    const maximum = /Maximum supported API version is (\d+\.\d+)/.exec(message)?.[1];
    if (maximum !== undefined && this.#options.version === undefined && minor(maximum) < minor(this.#version))
      return maximum;
    throw new EngineError(KINDS[response.status] ?? (response.status < 500 ? "invalid" : "internal"), message, {
      hint: hintText(text),
      cause: new DaemonAnswer(response.status),
    });
  }
}

function minor(version: string): number {
  return Number(version.split(".")[1] ?? 0);
}

export async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

function errorText(body: string): string | undefined {
  try {
    const message = (JSON.parse(body) as { message?: unknown }).message;
    return typeof message === "string" ? message.trim() : undefined;
  } catch {
    return body.trim() === "" ? undefined : body.trim();
  }
}

function hintText(body: string): string | undefined {
  try {
    const hint = (JSON.parse(body) as { hint?: unknown }).hint;
    return typeof hint === "string" ? hint : undefined;
  } catch {
    return undefined;
  }
}

export function queryText(query: Query | undefined): string {
  const parts: string[] = [];
  const add = (name: string, value: string) => parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === false || value === "") continue;
    if (value === true) add(name, "1");
    else if (Array.isArray(value)) for (const one of value as readonly string[]) add(name, one);
    else if (typeof value === "object") {
      if (Object.keys(value).length > 0) add(name, JSON.stringify(value));
    } else add(name, String(value));
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}
