/**
 * The plugins module's contract: other programs that do a part of the engine's work, over JSON and HTTP (Docker's legacy plug-ins).
 *
 * Vocabulary
 *   plug-in   a program with a socket or an address; its name is that of the file which tells of it
 *   kind      what it can do: "NetworkDriver", "IpamDriver", "VolumeDriver", "authz"
 *
 * A plug-in is looked for when someone names it, or asks for all of a kind, not before: first `NAME.sock` and `NAME/NAME.sock` in the socket folders, then `NAME.spec`
 * (a URL) and `NAME.json` in the others. It is activated once (`/Plugin.Activate` says its kinds), and again when it failed or its
 * file changed. A plug-in that does not answer the connection is tried for a while: it may be starting.
 */

export type PluginKind = "NetworkDriver" | "IpamDriver" | "VolumeDriver" | "authz";

export interface CallOptions {
  /** For the whole call, attempts to connect included; default 30 s. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A connection that nobody accepts is not tried again. */
  readonly once?: boolean | undefined;
  /** Answered instead of an error when the plug-in does not know the method (404). */
  readonly whenUnknown?: unknown;
}

export interface Plugin {
  readonly name: string;
  readonly kinds: readonly PluginKind[];
  /**
   * POSTs the body to `/METHOD` ("VolumeDriver.Create"); the answer's object. "internal" with the plug-in's own words when it says `Err`,
   * "unavailable" when it cannot be reached or answers no JSON object in time, "too-large" for an answer of more than 16 MiB.
   */
  call<Answer = Readonly<Record<string, unknown>>>(
    method: string,
    body?: Readonly<Record<string, unknown>>,
    options?: CallOptions,
  ): Promise<Answer>;
}

export interface Plugins {
  /** Names of all that could be called now, sorted; none of them is asked. */
  names(): string[];
  /** The activated plug-in. "not-found" when no file tells of it, or it is not of that kind; the kinds of `Plugin.call`. */
  get(name: string, kind: PluginKind, options?: CallOptions): Promise<Plugin>;
  /** All of that kind that answer within the time (milliseconds); the others are left out. */
  all(kind: PluginKind, timeoutMs: number): Promise<Plugin[]>;
  /** Whether a file tells of it. */
  exists(name: string): boolean;
}

export interface PluginFolders {
  readonly sockets: readonly string[];
  readonly specs: readonly string[];
}

/** Docker's. */
export const PLUGIN_FOLDERS: PluginFolders = {
  sockets: ["/run/docker/plugins"],
  specs: ["/etc/docker/plugins", "/usr/lib/docker/plugins"],
};
