/**
 * The logs module's contract. The monitor writes; this module reads, and says to the monitor what to write.
 *
 * `json-file` is Docker's format: a line {"log":"…\n","stream":"stdout","time":"…"} per line of output, rotated by size into
 * `<path>.1` (newest) … with optional gzip. Drivers that send lines to a service have such a log too, the service is fed from
 * it: so the container never waits for a service, nothing is lost while it or the engine is away, and every log can be read back.
 * A partial line (over 16 KiB or cut by the exit) has no "\n" at its end.
 */
import type { LogDriver } from "./drivers.ts";

/** HostConfig.LogConfig. */
export interface LogConfig {
  readonly Type?: string | undefined;
  readonly Config?: Readonly<Record<string, string>> | undefined;
}

/** Whose log it is, as far as it can be told in a line or a tag. */
export interface LogSubject {
  readonly id: string;
  /** Without "/". */
  readonly name: string;
  readonly imageId: string;
  /** As it was asked for. */
  readonly imageName: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** "NAME=value". */
  readonly env: readonly string[];
  readonly createdAt: string;
}

export interface LogSink {
  readonly driver: LogDriver;
  /** The current file; undefined for "none". */
  readonly path?: string | undefined;
  /** Rotate when the file would grow past this many bytes; undefined: never. */
  readonly maxSize?: number | undefined;
  /** Files kept, the current one included; at least 1. */
  readonly maxFiles?: number | undefined;
  readonly compress?: boolean | undefined;
  /** Nobody may read it: it is there for its service alone. */
  readonly unreadable?: boolean | undefined;
  /** Bytes of lines that may wait for the disk, after which new ones are given up; undefined: the container waits. */
  readonly buffer?: number | undefined;
  /** What every line of a run carries; not among what `Logs.sink` gives. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

/** A place in a log; `generation` is the inode number of the file. */
export interface LogPosition {
  readonly generation: number;
  readonly offset: number;
}

export interface LogReadOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Lines from the end; undefined: all. */
  readonly tail?: number | undefined;
  /** Nanoseconds since the epoch; inclusive. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  readonly timestamps: boolean;
  /** The attributes before each line, "name=value,name=value " in the form of a URL's query. */
  readonly details?: boolean | undefined;
  /** Go on until `ended` resolves and everything written was read. Rotation does not disturb it. */
  readonly follow?: { readonly ended: Promise<unknown> } | undefined;
  /** Frames with Docker's 8-byte header (true), or raw bytes (a terminal's log). */
  readonly framed: boolean;
  /** Stop at this position (what an attach stream continues from). */
  readonly end?: LogPosition | undefined;
  /**
   * Every chunk lies in the same memory and is valid until the next one is asked for. Without it 200 MiB cost eight collections
   * of garbage, a third of the processor time (measured).
   */
  readonly reuse?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Logs {
  /** From HostConfig.LogConfig and the daemon's defaults to a sink in `folder`. "invalid" for an unknown driver or option. */
  sink(config: LogConfig, folder: string, id: string): LogSink;
  /** The sink of a run that begins: with the attributes that its lines carry. "invalid" for a tag or pattern that does not work. */
  sinkOfRun(config: LogConfig, folder: string, subject: LogSubject): LogSink;
  /**
   * Sends the log's lines to its service, from where an earlier engine or run stopped, until `ended` resolves and all are sent; for
   * a driver that has none nothing. Several runs may follow each other. Nobody waits for it.
   */
  forward(config: LogConfig, folder: string, subject: LogSubject, ended: Promise<unknown>): void;
  /** Chunks of up to about 1 MiB, each the caller's own unless `reuse`. Ends quietly when the signal aborts. "not-implemented" when the driver can't be read ("configured logging driver does not support reading"). */
  read(sink: LogSink, options: LogReadOptions): AsyncIterable<Uint8Array>;
  /** Removes every file of the sink; its service gets what waits for it first, if it takes it within some seconds. Idempotent. */
  remove(sink: LogSink): Promise<void>;
  /** Stops forwarding; the next engine goes on. */
  close(): Promise<void>;
}
