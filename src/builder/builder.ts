/**
 * The builder module's contract: from a Dockerfile and a context to images.
 *
 * Vocabulary
 *   vertex   one step of the graph as progress shows it: an instruction of a stage, a base image, the export
 *   result   what a step gives: a tree (chain id) and the image configuration so far
 *   cache    rows: key of a step (operation, parameters, content of its inputs) → its layer; found by content, never by time
 *   lease    what a build stored and no image or cache row names yet; ends with the build
 *
 * Life of a build: the Dockerfile is parsed (dockerfile/), the stages that the target needs become a graph (graph/), its steps run as
 * soon as their inputs are there, equal ones of several builds once; the target's result becomes an image (`store`), and is given to
 * the `exporters`; then the lease ends. A build that fails or is cancelled leaves rows of the steps that were finished, and
 * the state of the step that failed until the next build of the same failing step or `prune` (`shell` opens it).
 *
 * kill -9: steps' containers and trees carry ids that no container has, so the next engine takes them away; rows name only what is whole.
 */
import type { Duplex, Readable, Writable } from "node:stream";
import type { Resources } from "../api/types/container.ts";
import type { BuildCache } from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import type { Descriptor, ImageConfigFile, Platform } from "../oci/types.ts";
import type { Dockerfile, Warning } from "./dockerfile/language.ts";
import type { Dressed } from "./exporters/dress.ts";
import type { ImageWish } from "./exporters/wish.ts";
import type { BuildEvent } from "./progress.ts";

export type { BuildEvent, Vertex } from "./progress.ts";

export interface Builder {
  /**
   * Post-condition: the images are stored under their tags, every exporter has ended. Errors: "invalid" for what the Dockerfile or the
   * request gets wrong (message with the offending lines), BuildError (errors.ts) for a step that failed, "cancelled".
   */
  build(
    request: BuildRequest,
    options?: {
      readonly signal?: AbortSignal | undefined;
      /** Called in order; must not throw. */
      readonly onProgress?: ((event: BuildEvent) => void) | undefined;
    },
  ): Promise<BuildResult>;
  /** Parses and lints without building: every warning, or the first error of the file. */
  check(request: Pick<BuildRequest, "dockerfile" | "target" | "buildArgs">): Promise<readonly Warning[]>;
  /**
   * A process in the tree that a failed step left (`FailedStep.id`). "not-found" when it is gone. The session ends with its process, or
   * is ended by `signal`.
   */
  shell(failedStep: string, options: ShellOptions): Promise<ShellSession>;
  prune(options: PruneOptions): Promise<{ readonly deleted: readonly string[]; readonly reclaimed: number }>;
  /** One record for each cached step, cache mount, context and failed state. Sizes add up to what the builder holds beyond images. */
  diskUsage(): BuildCache[];
  /** Ends running builds, and waits for them. Idempotent. */
  close(): Promise<void>;
}

export interface BuildRequest {
  /** The text, and how errors name it. */
  readonly dockerfile: {
    readonly text: string;
    readonly name: string;
    /** Lines of .dockerignore that the context's sender has left files out by already; only for the warnings. */
    readonly ignored?: readonly string[] | undefined;
  };
  /** In place of the text: what it would be parsed to. See program/. */
  readonly program?: Dockerfile | undefined;
  /** Undefined: no files (`docker build - < Dockerfile`). */
  readonly context?: ContextTree | undefined;
  /** `--build-context`. */
  readonly contexts?: Readonly<Record<string, NamedContext>> | undefined;
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** One image for each; the machine's own when empty. */
  readonly platforms?: readonly Platform[] | undefined;
  /** True: every step runs; names or indexes of stages (`--no-cache-filter`): those of these stages. */
  readonly noCache?: boolean | readonly string[] | undefined;
  /** Ask the registry even when the base image is here. */
  readonly pull?: boolean | undefined;
  /** "name:address", "name=address"; "host-gateway" is known. */
  readonly extraHosts?: readonly string[] | undefined;
  /** Of RUN steps that say nothing else: "default" (or ""), "bridge", "none", "host", "container:<name or id>", a network's name. */
  readonly network?: string | undefined;
  /** Limits of each RUN step, with CgroupParent and Ulimits, in the API's terms. */
  readonly resources?: Resources | undefined;
  /** Bytes. */
  readonly shmSize?: number | undefined;
  /** `--allow`: what RUN --network=host and --security=insecure need. Host networking is allowed when `network` is "host". */
  readonly entitlements?: readonly ("network.host" | "security.insecure")[] | undefined;
  /** `--security-opt`. */
  readonly securityOptions?: readonly string[] | undefined;
  readonly secrets?: Given<SecretSource> | undefined;
  readonly ssh?: Given<SshSource> | undefined;
  readonly cacheFrom?: readonly CacheLocation[] | undefined;
  readonly cacheTo?: readonly CacheLocation[] | undefined;
  /** One layer in place of all that the build added. */
  readonly squash?: boolean | undefined;
  /** Seconds since the epoch: the image's times, and the latest time of files in new layers. */
  readonly sourceDateEpoch?: number | undefined;
  /** Names of the stored image; each with an optional tag. */
  readonly tags?: readonly string[] | undefined;
  /** Repositories: the image is also recorded under each with its digest. */
  readonly digestNames?: readonly string[] | undefined;
  /** Whether the image is recorded in `images`; true when missing. False where only exporters want it. */
  readonly store?: boolean | undefined;
  /** What the recorded image is to be, beside what the build makes of it: attributes of exporters/wish.ts, as BuildKit's image exporter has them. */
  readonly imageOptions?: Readonly<Record<string, string>> | undefined;
  /** Run one after another when the result is there and still held. */
  readonly exporters?: readonly Exporter[] | undefined;
  /** For the registry (base images, caches): as X-Registry-Config, host → credentials. */
  readonly credentials?: Given<RegistryCredentials> | undefined;
}

/** What is known by its name: all of it, or asked for when a step needs it. */
export type Given<T> = Readonly<Record<string, T>> | ((name: string, signal: AbortSignal) => Promise<T | undefined>);

export interface RegistryCredentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly identityToken?: string | undefined;
}

/**
 * A folder on this machine, looked at while the build runs and not changed by it. What is not a file, a folder or a link is an error
 * only where a step selects it. Links are followed inside the root only.
 */
export interface ContextTree {
  /** Absolute. */
  readonly root: string;
  /** Lines of .dockerignore that still apply; none when the sender has left the files out already. */
  readonly ignore?: readonly string[] | undefined;
  /**
   * The same for the next build of the same folder: what is known of its files' contents is kept under this name (one file name).
   * Undefined: nothing is kept.
   */
  readonly cacheName?: string | undefined;
  /**
   * Another text whenever anything in the folder may have changed: what selections of it came to is remembered by it, and with `cacheName`
   * between builds, so that an unchanged context is not looked at at all.
   */
  readonly version?: string | undefined;
  /** Owner that every file counts as; Docker's contexts belong to root. Undefined: 0, 0. "keep": as on the disk. */
  readonly owner?: "root" | "keep" | undefined;
}

export type NamedContext =
  | { readonly kind: "tree"; readonly tree: ContextTree }
  /** "docker-image://alpine:3". */
  | { readonly kind: "image"; readonly name: string };

/** Never written to a disk. `read` may be called more than once. */
export interface SecretSource {
  read(signal: AbortSignal): Promise<Uint8Array>;
}

/** An agent: each connection a RUN step makes to its socket is joined to one of these. */
export interface SshSource {
  connect(signal: AbortSignal): Promise<Duplex>;
}

/** `--cache-from`, `--cache-to`: "type=registry,ref=…", "type=inline", "type=local,src=…|dest=…"; attributes as given. */
export interface CacheLocation {
  readonly type: "inline" | "registry" | "local";
  readonly attributes: Readonly<Record<string, string>>;
}

export interface BuildResult {
  /** In the order of `platforms`. */
  readonly images: readonly BuiltImage[];
  /** What the tags point to: the manifest, or an index for several platforms. */
  readonly target: Descriptor;
  /** What exporters said, later ones over earlier: for `--metadata-file`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly warnings: readonly Warning[];
}

export interface BuiltImage {
  readonly platform: Platform;
  /** The image's id: the digest of `configBytes`. */
  readonly id: Digest;
  readonly manifest: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly config: ImageConfigFile;
  readonly configBytes: Uint8Array;
  /** Lowest first; as stored. */
  readonly layers: readonly Descriptor[];
  /** Undefined for an image without layers. */
  readonly chainId: Digest | undefined;
}

/** Docker archive, OCI layout, tar, folder: see exporters/. */
export interface Exporter {
  /** "exporting to oci image format". */
  readonly name: string;
  /** Returns what `--metadata-file` says of it. */
  export(input: ExportInput): Promise<Readonly<Record<string, unknown>>>;
}

/** Valid until the exporter's promise settles. */
export interface ExportInput {
  readonly result: Pick<BuildResult, "images" | "target">;
  readonly tags: readonly string[];
  readonly sourceDateEpoch: number | undefined;
  readonly signal: AbortSignal;
  /** The result as an output wants it; its layers can be read too. */
  dress(wish: ImageWish | undefined): Promise<Dressed>;
  /** A layer's bytes as its descriptor says. */
  layer(digest: Digest): Readable;
  /** The image's whole tree, read-only, while `read` runs. An empty folder for an image without layers. */
  withTree<T>(image: BuiltImage, read: (root: string) => Promise<T>): Promise<T>;
  /** A line of progress below the exporter's vertex. */
  log(text: string): void;
}

export interface ShellOptions {
  /** Default: the failed step's shell, or /bin/sh. */
  readonly command?: readonly string[] | undefined;
  readonly terminal: boolean;
  readonly size?: readonly [rows: number, columns: number] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ShellSession {
  /** As Task.attach: raw for a terminal, frames otherwise. */
  readonly output: Readable;
  readonly input: Writable;
  /** Resolves when everything of the session is gone. */
  readonly exitCode: Promise<number>;
  resize(rows: number, columns: number): Promise<void>;
}

export interface PruneOptions {
  /** Without it what images have too stays: removing that frees nothing. */
  readonly all: boolean;
  /** Bytes that may stay, whatever the other two say; the least recently used goes first. Without any of the three all goes. */
  readonly keepStorage?: number | undefined;
  /** Bytes that may stay at most. */
  readonly maxUsedSpace?: number | undefined;
  /** Bytes of the disk that are to be free: no more goes than that needs. */
  readonly minFreeSpace?: number | undefined;
  /** "until", "id", "parent", "type", "description", "inuse", "shared", "private" as `docker builder prune` has them. */
  readonly filters?: Readonly<Record<string, readonly string[]>> | undefined;
}
