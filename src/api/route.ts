/**
 * What a route is: one row of the table from which the router, the validation and the answers are derived.
 *
 * A handler returns a `Reply`, a plain description of the answer; reply.ts is the one place that writes to a response. What a
 * handler throws becomes an error body while no header was sent, and an error at the end of the stream after that.
 */
import type { IncomingMessage } from "node:http";
import type { PreparedAttach } from "../containers/containers.ts";
import type { Engine } from "../engine/engine.ts";
import type { Schema } from "./json/schema.ts";
import type { Param, ParamTable, ParamValues } from "./query.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";

export type Headers = Readonly<Record<string, string>>;

/** One line of a progress stream (jsonmessage). */
export type WriteLine = (line: object) => void;

export type Reply =
  | { readonly kind: "json"; readonly status: number; readonly value: unknown; readonly headers?: Headers }
  | { readonly kind: "text"; readonly status: number; readonly text: string; readonly headers?: Headers }
  | { readonly kind: "empty"; readonly status: number; readonly headers?: Headers }
  /** Bytes as they come; the first is awaited before headers go out unless `eager`. */
  | {
      readonly kind: "bytes";
      readonly type: string;
      readonly source: AsyncIterable<Uint8Array>;
      readonly headers?: Headers;
      readonly eager?: boolean;
      /** The source uses a chunk's memory again: each must be out before the next is asked for. */
      readonly reused?: boolean;
    }
  /** Values, one JSON document per line, each flushed. */
  | { readonly kind: "lines"; readonly source: AsyncIterable<unknown>; readonly eager?: boolean }
  /** Progress lines; headers go out with the first. */
  | { readonly kind: "progress"; readonly run: (write: WriteLine) => Promise<void> }
  /** Headers at once, the JSON value when it is there. */
  | { readonly kind: "later"; readonly value: Promise<unknown> }
  /** The connection itself is handed over. */
  | { readonly kind: "hijack"; readonly prepared: PreparedAttach }
  | { readonly kind: "websocket"; readonly prepared: PreparedAttach };

export const json = (value: unknown, status = 200): Reply => ({ kind: "json", status, value });
export const empty = (status = 204, headers: Headers = {}): Reply => ({ kind: "empty", status, headers });

/** A request as its handler sees it. */
export interface Call<Path extends string = string, Query extends ParamTable = Record<string, Param<unknown>>> {
  readonly engine: Engine;
  /** The minor API version: 51 for "1.51". */
  readonly version: number;
  readonly path: Readonly<Record<PathNames<Path>, string>>;
  readonly query: ParamValues<Query>;
  readonly request: IncomingMessage;
  /** Aborts when the client is gone before the answer was complete. */
  readonly signal: AbortSignal;
  /** The body as JSON; undefined when the request has none. Throws "invalid" or "too-large". */
  json<T>(schema: Schema<T>): Promise<T | undefined>;
}

/** The names in braces of a path template. */
export type PathNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | PathNames<Rest>
  : never;

export interface Route {
  readonly method: Method;
  /** "/containers/{id}/json"; a name in braces matches one or more characters, slashes too. */
  readonly path: string;
  /** Minor version that brought it. */
  readonly since?: number | undefined;
  readonly query: ParamTable;
  /** "tcp": takes the connection over, asked by an Upgrade header or not; "websocket": only with one. */
  readonly takesOver?: "tcp" | "websocket" | undefined;
  readonly handle: (call: Call) => Promise<Reply> | Reply;
}

interface RouteSpec<Path extends string, Query extends ParamTable> {
  readonly since?: number;
  readonly query?: Query;
  readonly takesOver?: "tcp" | "websocket";
  readonly handle: (call: Call<Path, Query>) => Promise<Reply> | Reply;
}

/** Makes a row; the handler's `path` and `query` are typed by the template and the parameter table. */
export function route<const Path extends string, const Query extends ParamTable = Record<never, never>>(
  method: Method,
  path: Path,
  { query, handle, ...rest }: RouteSpec<Path, Query>,
): Route {
  return { method, path, query: query ?? {}, handle: handle as unknown as Route["handle"], ...rest };
}
