/**
 * The containers module's contract: the life of a container, from `create` to `remove`.
 *
 *   created ──start──► running ──pause──► paused
 *      ▲                 │  ▲               │
 *      │                 │  └────unpause────┘
 *      │             exit│      ┌─ restarting ─┐ (restart policy)
 *      └──────────── exited ────┘              └──► running
 *   any ──remove──► removing ──► gone (or dead when the removal failed)
 *
 * One state machine per container (state.ts), one lock per container: operations on one follow each other, on different
 * ones run side by side. Every change of state is in the database before its event is published.
 * A name or id may be a full id, a name (with or without "/"), or an unambiguous id prefix.
 */
import type { Duplex, Readable } from "node:stream";
import type * as Wire from "../api/types/container.ts";
import type { EndpointSettings } from "../api/types/network.ts";
import type { Digest } from "../base/digest.ts";
import type { LogReadOptions } from "../logs/logs.ts";

export type Filters = Readonly<Record<string, readonly string[]>>;

export interface ListOptions {
  readonly all: boolean;
  readonly limit?: number | undefined;
  readonly size: boolean;
  readonly filters: Filters;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Replay the log first. */
  readonly logs: boolean;
  readonly stream: boolean;
  /** "ctrl-p,ctrl-q" form; undefined: the default; "" none. */
  readonly detachKeys?: string | undefined;
}

/** An attach that is agreed on but not begun: the API sends its response headers between the two. */
export interface PreparedAttach {
  /** A terminal's raw stream, or frames. */
  readonly raw: boolean;
  /** Joins the client's stream with the container until either ends; resolves then. The client's half-close is standard input's end. */
  run(client: Duplex): Promise<void>;
}

export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface Containers {
  create(
    name: string | undefined,
    request: Wire.ContainerCreateRequest,
    platform?: string | undefined,
  ): Promise<Wire.ContainerCreateResult>;
  /** "not-modified" when it runs already. */
  start(name: string, options?: { readonly detachKeys?: string | undefined }): Promise<void>;
  /** Sends the stop signal, after `timeout` seconds (-1: never) SIGKILL. "not-modified" when it does not run. */
  stop(
    name: string,
    options: { readonly timeout?: number | undefined; readonly signal?: string | undefined },
  ): Promise<void>;
  /**
   * Stops everything that runs, because the engine ends: each with its own stop signal and timeout (`timeout` seconds where it has
   * none). No restart policy brings one back now, and each has its say at the next start, as if nobody had stopped it. Failures are
   * logged.
   */
  stopAll(options: { readonly timeout: number }): Promise<void>;
  restart(
    name: string,
    options: { readonly timeout?: number | undefined; readonly signal?: string | undefined },
  ): Promise<void>;
  /** Name or number of a signal. "conflict" when it does not run. */
  kill(name: string, signal: string | undefined): Promise<void>;
  pause(name: string): Promise<void>;
  unpause(name: string): Promise<void>;
  rename(name: string, to: string): Promise<void>;
  /** The container is in one network more or less: a running one at once, and each from its next start on. The kinds of Networks.connect. */
  connect(name: string, network: string, settings: EndpointSettings): Promise<void>;
  disconnect(name: string, network: string, options: { readonly force: boolean }): Promise<void>;
  update(name: string, request: Wire.ContainerUpdateRequest): Promise<Wire.ContainerUpdateResult>;
  /** With `link` the name "container/alias" that a link gave, and not the container. */
  remove(
    name: string,
    options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void>;
  prune(filters: Filters): Promise<Wire.ContainerPruneResult>;
  /** Resolves at once that the condition is watched (so that headers can go out); `result` resolves when it is met. */
  wait(
    name: string,
    condition: WaitCondition,
    signal?: AbortSignal,
  ): Promise<{ readonly result: Promise<Wire.ContainerWaitResult> }>;

  list(options: ListOptions): Promise<Wire.ContainerSummary[]>;
  inspect(name: string, options: { readonly size: boolean }): Promise<Wire.ContainerInspect>;
  top(name: string, psArguments: string | undefined): Promise<Wire.ContainerTop>;
  changes(name: string): Promise<Wire.FilesystemChange[]>;
  stats(
    name: string,
    options: { readonly stream: boolean; readonly oneShot: boolean; readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<Wire.ContainerStats>;
  logs(
    name: string,
    options: Omit<LogReadOptions, "follow" | "framed" | "end"> & {
      readonly follow: boolean;
      readonly details: boolean;
    },
  ): Promise<{ readonly raw: boolean; readonly chunks: AsyncIterable<Uint8Array> }>;
  export(name: string): Promise<Readable>;
  /** An image of what the container changed; its id. */
  commit(name: string, options: CommitOptions): Promise<Digest>;
  /** The tar of a path in the container, and its stat for the X-Docker-Container-Path-Stat header. */
  copyFrom(name: string, path: string): Promise<{ readonly stat: PathStat; readonly tar: Readable }>;
  statPath(name: string, path: string): Promise<PathStat>;
  copyTo(
    name: string,
    path: string,
    tar: Readable,
    options: { readonly noOverwriteDirNonDir: boolean; readonly copyUidGid: boolean },
  ): Promise<void>;

  attach(name: string, options: AttachOptions): Promise<PreparedAttach>;
  resize(name: string, rows: number, columns: number): Promise<void>;

  execCreate(name: string, request: Wire.ExecCreateRequest): Promise<string>;
  /** Detached: resolves when it runs, with undefined. Otherwise `run` starts it and joins the client to it. */
  execStart(execId: string, request: Wire.ExecStartRequest): Promise<PreparedAttach | undefined>;
  execInspect(execId: string): Wire.ExecInspect;
  execResize(execId: string, rows: number, columns: number): Promise<void>;
}

export interface CommitOptions {
  readonly repo?: string | undefined;
  readonly tag?: string | undefined;
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  /** Dockerfile instructions: see images/changes.ts. */
  readonly changes: readonly string[];
  /** Members replace the container's own. */
  readonly config?: Wire.ContainerConfig | undefined;
  readonly pause: boolean;
}

/** As in the API's path stat header. */
export interface PathStat {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Go's os.FileMode bits. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}
