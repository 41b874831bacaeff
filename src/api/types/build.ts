/**
 * What `gantry build` and gantryd say to each other: POST /gantry/build takes the connection over, then base/mux.ts carries channels.
 * docs/build-protocol.md tells it in words. A change that an older side would misread raises BUILD_PROTOCOL.
 */

export const BUILD_PROTOCOL = 1;

/** What a client opens a channel for. */
export type BuildCall =
  /** Answered by lines of JSON, each a BuildLine; the last is a result or a failure. Resetting it cancels the build. */
  | { readonly call: "build"; readonly version: number; readonly request: WireBuild }
  /** Lints. Answered by one line: a CheckLine. */
  | { readonly call: "check"; readonly version: number; readonly request: WireBuild }
  /** Builds twice and compares. Answered as "build"; the result has `differences`. */
  | { readonly call: "verify"; readonly version: number; readonly request: WireBuild }
  /**
   * A process in the state of a failed step. The daemon opens "shell" for its input and output; this channel carries lines both ways:
   * the client's {"rows","columns"}, the daemon's last {"exitCode"}.
   */
  | { readonly call: "shell"; readonly version: number; readonly step: string; readonly shell: WireShell };

/** What the daemon opens a channel for. The client answers on it, or resets it with an error. */
export type BuildAsk =
  /** Answer: the lines of the folder's listing (SyncLine), then end. */
  | { readonly ask: "listing"; readonly context: string }
  /** The daemon writes a JSON array of the numbers of lines and ends; answer: these files' bytes one after another, then end. */
  | { readonly ask: "files"; readonly context: string }
  /** Answer: the archive's bytes, then end. */
  | { readonly ask: "tar"; readonly context: string }
  /** Answer: the secret's bytes, then end. */
  | { readonly ask: "secret"; readonly id: string }
  /** Bytes both ways between a process and an agent. */
  | { readonly ask: "ssh"; readonly id: string }
  /** The daemon writes the product and ends; the client ends when it is written. */
  | { readonly ask: "export"; readonly index: number }
  /** Of a shell: raw bytes both ways, or frames from the daemon where there is no terminal. */
  | { readonly ask: "shell" };

export interface WireShell {
  readonly terminal: boolean;
  readonly rows: number;
  readonly columns: number;
  readonly command?: readonly string[] | undefined;
}

export type WireContext =
  /** A folder of the client; `key` is the same for the same folder of the same machine. */
  | { readonly kind: "folder"; readonly key: string; readonly description: string }
  /** An archive that the client sends. */
  | { readonly kind: "tar" }
  | { readonly kind: "remote"; readonly url: string };

export type WireNamedContext =
  | WireContext
  /** An image by its name. */
  | { readonly kind: "image"; readonly name: string }
  /** An archive of an OCI layout that the client sends, with the one image that is meant and without names. */
  | { readonly kind: "layout" };

/** A build's options. Members that are missing have their defaults. */
export interface WireBuild {
  /** Without text it is read from the context under this name. */
  readonly dockerfile: {
    readonly name?: string | undefined;
    readonly text?: string | undefined;
    /** Lines of the ignore file that the client leaves files out by; only for the warnings. */
    readonly ignored?: readonly string[] | undefined;
  };
  readonly context?: WireContext | undefined;
  readonly contexts?: Readonly<Record<string, WireNamedContext>> | undefined;
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** "linux/arm64/v8". */
  readonly platforms?: readonly string[] | undefined;
  readonly noCache?: boolean | readonly string[] | undefined;
  readonly pull?: boolean | undefined;
  readonly extraHosts?: readonly string[] | undefined;
  readonly network?: string | undefined;
  readonly resources?: WireResources | undefined;
  readonly shmSize?: number | undefined;
  readonly entitlements?: readonly string[] | undefined;
  readonly securityOptions?: readonly string[] | undefined;
  /** Ids that the client answers for. */
  readonly secrets?: readonly string[] | undefined;
  readonly ssh?: readonly string[] | undefined;
  readonly cacheFrom?: readonly WireTyped[] | undefined;
  readonly cacheTo?: readonly WireTyped[] | undefined;
  readonly squash?: boolean | undefined;
  readonly sourceDateEpoch?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly store?: boolean | undefined;
  /** As BuildRequest has them. */
  readonly imageOptions?: Readonly<Record<string, string>> | undefined;
  readonly digestNames?: readonly string[] | undefined;
  /** "docker", "oci", "tar" or "local", written to the client; by their index. */
  readonly exporters?: readonly WireTyped[] | undefined;
}

/** "type=local,dest=out". */
export interface WireTyped {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface WireResources {
  readonly Memory?: number | undefined;
  readonly MemorySwap?: number | undefined;
  readonly CpuShares?: number | undefined;
  readonly CpuPeriod?: number | undefined;
  readonly CpuQuota?: number | undefined;
  readonly CpusetCpus?: string | undefined;
  readonly CpusetMems?: string | undefined;
  readonly CgroupParent?: string | undefined;
  readonly Ulimits?: { Name: string; Soft: number; Hard: number }[] | undefined;
}

export type BuildLine =
  | { readonly event: WireBuildEvent }
  | { readonly result: WireBuildResult }
  | { readonly failure: WireBuildFailure };

export type CheckLine = { readonly warnings: readonly WireWarning[] } | { readonly failure: WireBuildFailure };

export interface WirePlace {
  readonly line: number;
  readonly column: number;
}

export interface WireWarning {
  readonly rule: string;
  readonly description: string;
  readonly url: string;
  readonly message: string;
  readonly range: { readonly start: WirePlace; readonly end: WirePlace };
}

export interface WireVertex {
  readonly digest: string;
  readonly inputs: readonly string[];
  readonly name: string;
  readonly step?: { readonly number?: number | undefined; readonly total: number; readonly text: string } | undefined;
  /** Milliseconds since the epoch. */
  readonly startedAt?: number | undefined;
  readonly completedAt?: number | undefined;
  readonly cached?: boolean | undefined;
  readonly error?: string | undefined;
}

export type WireBuildEvent =
  | { readonly type: "vertex"; readonly vertex: WireVertex }
  /** `data` is base64. */
  | {
      readonly type: "log";
      readonly vertex: string;
      readonly stream: 1 | 2;
      readonly data: string;
      readonly time: number;
    }
  | {
      readonly type: "transfer";
      readonly vertex: string;
      readonly id: string;
      readonly current: number;
      readonly total?: number | undefined;
      readonly completed: boolean;
    }
  | { readonly type: "warning"; readonly file: string; readonly warning: WireWarning };

export interface WireBuildResult {
  readonly images: readonly { readonly id: string; readonly manifest: WireDescriptor; readonly platform: string }[];
  readonly target: WireDescriptor;
  /** For `--metadata-file`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Of "verify": what two builds of the same inputs differ in, one line each; empty when they are the same. */
  readonly differences?: readonly string[] | undefined;
}

export interface WireDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface WireBuildFailure {
  /** An ErrorKind. */
  readonly kind: string;
  readonly message: string;
  readonly hint?: string | undefined;
  /** Set when a step of the Dockerfile failed. */
  readonly step?:
    | {
        readonly id?: string | undefined;
        readonly exitCode?: number | undefined;
        readonly file: string;
        readonly line: number;
        readonly excerpt: string;
      }
    | undefined;
}
