import type * as Wire from "../api/types/container.ts";
import type { IDResponse } from "../api/types/system.ts";
import { EngineError, errorKind } from "../base/errors.ts";
import type { Response } from "./http.ts";
import { jsonDocuments } from "./json-stream.ts";
import type { Hijacked, Transport } from "./transport.ts";

export type Filters = Readonly<Record<string, readonly string[]>>;
export type WaitCondition = "not-running" | "next-exit" | "removed";

/** A path's stat as the X-Docker-Container-Path-Stat header has it; `mode` is Go's os.FileMode. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

export interface LogQuery {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow?: boolean | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly timestamps?: boolean | undefined;
  readonly tail?: string | undefined;
  readonly details?: boolean | undefined;
}

export interface AttachQuery {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly logs?: boolean | undefined;
  readonly detachKeys?: string | undefined;
}

export interface ContainersClient {
  create(
    name: string | undefined,
    request: Wire.ContainerCreateRequest,
    platform?: string,
  ): Promise<Wire.ContainerCreateResult>;
  start(
    name: string,
    options?: {
      readonly detachKeys?: string | undefined;
      readonly checkpoint?: string | undefined;
      readonly checkpointDir?: string | undefined;
    },
  ): Promise<void>;
  stop(
    name: string,
    options?: { readonly timeout?: number | undefined; readonly signal?: string | undefined },
  ): Promise<void>;
  restart(
    name: string,
    options?: { readonly timeout?: number | undefined; readonly signal?: string | undefined },
  ): Promise<void>;
  kill(name: string, signal?: string): Promise<void>;
  pause(name: string): Promise<void>;
  unpause(name: string): Promise<void>;
  rename(name: string, to: string): Promise<void>;
  update(name: string, request: Wire.ContainerUpdateRequest): Promise<Wire.ContainerUpdateResult>;
  remove(
    name: string,
    options?: {
      readonly force?: boolean | undefined;
      readonly volumes?: boolean | undefined;
      readonly link?: boolean | undefined;
    },
  ): Promise<void>;
  prune(filters: Filters): Promise<Wire.ContainerPruneResult>;
  /** Resolves when the daemon watches the condition; `result` when it is met. */
  wait(
    name: string,
    condition?: WaitCondition,
    signal?: AbortSignal,
  ): Promise<{ readonly result: Promise<Wire.ContainerWaitResult> }>;
  list(options?: {
    readonly all?: boolean | undefined;
    readonly limit?: number | undefined;
    readonly size?: boolean | undefined;
    readonly filters?: Filters | undefined;
  }): Promise<Wire.ContainerSummary[]>;
  inspect(name: string, options?: { readonly size?: boolean | undefined }): Promise<Wire.ContainerInspect>;
  /** As the daemon sent it. */
  inspectText(name: string, size: boolean): Promise<string>;
  top(name: string, psArguments?: string): Promise<Wire.ContainerTop>;
  changes(name: string): Promise<Wire.FilesystemChange[]>;
  stats(
    name: string,
    options: {
      readonly stream: boolean;
      readonly oneShot?: boolean | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): AsyncIterable<Wire.ContainerStats>;
  logs(name: string, query: LogQuery, signal?: AbortSignal): Promise<Response>;
  export(name: string): Promise<Response>;
  copyFrom(name: string, path: string): Promise<{ readonly stat: PathStat; readonly response: Response }>;
  statPath(name: string, path: string): Promise<PathStat>;
  copyTo(
    name: string,
    path: string,
    tar: AsyncIterable<Uint8Array>,
    options?: { readonly noOverwriteDirNonDir?: boolean | undefined; readonly copyUidGid?: boolean | undefined },
  ): Promise<void>;
  attach(name: string, query: AttachQuery): Promise<Hijacked>;
  resize(name: string, rows: number, columns: number): Promise<void>;
  commit(
    name: string,
    options: {
      readonly repo?: string | undefined;
      readonly tag?: string | undefined;
      readonly comment?: string | undefined;
      readonly author?: string | undefined;
      readonly pause: boolean;
      readonly changes?: readonly string[] | undefined;
    },
  ): Promise<string>;
  execCreate(name: string, request: Wire.ExecCreateRequest): Promise<string>;
  execStart(id: string, request: Wire.ExecStartRequest): Promise<void>;
  execAttach(id: string, request: Wire.ExecStartRequest): Promise<Hijacked>;
  execInspect(id: string): Promise<Wire.ExecInspect>;
  execResize(id: string, rows: number, columns: number): Promise<void>;
}

export function containersClient(transport: Transport): ContainersClient {
  const at = (name: string, verb: string) => `/containers/${encodeURIComponent(name)}${verb}`;
  const post = async (path: string, query: Record<string, string | number | boolean | undefined> = {}) => {
    await transport.text("POST", path, { query });
  };
  /** Already in the wished state is as good as done. */
  const reach = (...call: Parameters<typeof post>) =>
    post(...call).catch((error: unknown) => {
      if (errorKind(error) !== "not-modified") throw error;
    });
  return {
    create: (name, request, platform) =>
      transport.json("POST", "/containers/create", { query: { name, platform }, json: request }),
    start: (name, options = {}) =>
      reach(at(name, "/start"), {
        detachKeys: options.detachKeys,
        checkpoint: options.checkpoint,
        "checkpoint-dir": options.checkpointDir,
      }),
    stop: (name, options = {}) => reach(at(name, "/stop"), { t: options.timeout, signal: options.signal }),
    restart: (name, options = {}) => post(at(name, "/restart"), { t: options.timeout, signal: options.signal }),
    kill: (name, signal) => post(at(name, "/kill"), { signal }),
    pause: (name) => post(at(name, "/pause")),
    unpause: (name) => post(at(name, "/unpause")),
    rename: (name, to) => post(at(name, "/rename"), { name: to }),
    update: (name, request) => transport.json("POST", at(name, "/update"), { json: request }),
    remove: async (name, { force, volumes, link } = {}) => {
      await transport.text("DELETE", at(name, ""), { query: { force, v: volumes, link } });
    },
    prune: (filters) => transport.json("POST", "/containers/prune", { query: { filters } }),
    wait: async (name, condition, signal) => {
      const response = await transport.call("POST", at(name, "/wait"), { query: { condition }, signal });
      const result = waitResult(response);
      result.catch(() => {});
      return { result };
    },
    list: ({ all, limit, size, filters } = {}) =>
      transport.json("GET", "/containers/json", { query: { all, limit, size, filters } }),
    inspect: (name, { size } = {}) => transport.json("GET", at(name, "/json"), { query: { size } }),
    inspectText: (name, size) => transport.text("GET", at(name, "/json"), { query: { size } }),
    top: (name, psArguments) => transport.json("GET", at(name, "/top"), { query: { ps_args: psArguments } }),
    changes: async (name) => (await transport.json<Wire.FilesystemChange[] | null>("GET", at(name, "/changes"))) ?? [],
    stats: (name, { stream, oneShot, signal }) => statsOf(transport, at(name, "/stats"), stream, oneShot, signal),
    logs: (name, query, signal) => transport.call("GET", at(name, "/logs"), { query: { ...query }, signal }),
    export: (name) => transport.call("GET", at(name, "/export")),
    copyFrom: async (name, path) => {
      const response = await transport.call("GET", at(name, "/archive"), { query: { path } });
      return { stat: pathStat(response), response };
    },
    statPath: async (name, path) => {
      const response = await transport.call("HEAD", at(name, "/archive"), { query: { path } });
      response.close();
      return pathStat(response);
    },
    copyTo: async (name, path, tar, { noOverwriteDirNonDir, copyUidGid } = {}) => {
      await transport.text("PUT", at(name, "/archive"), {
        query: { path, noOverwriteDirNonDir, copyUIDGID: copyUidGid },
        body: tar,
      });
    },
    attach: (name, { stdin, stdout, stderr, logs, detachKeys }) =>
      transport.hijack(at(name, "/attach"), {
        query: { stream: true, stdin, stdout, stderr, logs, detachKeys },
        contentType: "text/plain",
      }),
    resize: (name, rows, columns) => post(at(name, "/resize"), { h: rows, w: columns }),
    commit: async (name, { repo, tag, comment, author, pause, changes }) => {
      const query = { container: name, repo, tag, comment, author, changes, pause: pause ? "1" : "0" };
      return (await transport.json<IDResponse>("POST", "/commit", { query, json: {} })).Id;
    },
    execCreate: async (name, request) =>
      (await transport.json<IDResponse>("POST", at(name, "/exec"), { json: request })).Id,
    execStart: async (id, request) => {
      await transport.text("POST", `/exec/${encodeURIComponent(id)}/start`, { json: request });
    },
    execAttach: (id, request) => transport.hijack(`/exec/${encodeURIComponent(id)}/start`, { json: request }),
    execInspect: (id) => transport.json("GET", `/exec/${encodeURIComponent(id)}/json`),
    execResize: (id, rows, columns) => post(`/exec/${encodeURIComponent(id)}/resize`, { h: rows, w: columns }),
  };
}

async function waitResult(response: Response): Promise<Wire.ContainerWaitResult> {
  for await (const document of jsonDocuments<Wire.ContainerWaitResult>(response.body)) return document;
  throw new EngineError("unavailable", "the daemon closed the connection before the container ended");
}

async function* statsOf(
  transport: Transport,
  path: string,
  stream: boolean,
  oneShot: boolean | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Wire.ContainerStats> {
  const query = { stream: stream ? "1" : "0", "one-shot": oneShot };
  const response = await transport.call("GET", path, { query, signal });
  yield* jsonDocuments<Wire.ContainerStats>(response.body);
}

function pathStat(response: Response): PathStat {
  const header = response.headers["x-docker-container-path-stat"];
  if (header === undefined) throw new EngineError("internal", "the daemon did not send the path's stat");
  return JSON.parse(Buffer.from(header, "base64").toString("utf8")) as PathStat;
}
