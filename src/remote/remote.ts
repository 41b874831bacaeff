/**
 * The remote module's contract: registries as a client sees them (OCI distribution specification 1.1, Docker's registry API v2).
 *
 * Vocabulary
 *   registry    what a name's domain stands for: "docker.io", "localhost:5000"
 *   repository  a named collection of blobs, manifests and tags in a registry
 *   endpoint    where a repository is asked: its mirrors in their order, last the registry itself
 *   sink        where a blob's bytes go, from the place on where it left off
 *
 * Life of a request: the settings' rules turn a repository into endpoints; each is tried until one answers. A request that is answered
 * by a challenge is sent again with a token (or the password itself) for just the access that it needs; tokens are kept until they
 * expire. A body that breaks off is asked for again from where it broke.
 *
 * Nothing that a registry says is believed: manifests are hashed here, sizes and times are bounded, and blobs are for the sink's owner
 * to verify. Errors: "not-found", "unauthorized", "forbidden", "invalid" (it answered nonsense), "unavailable" (no answer, or try later).
 */
import type { Readable } from "node:stream";
import type { Digest } from "../base/digest.ts";
import type { Reference } from "../oci/reference.ts";
import type { Descriptor, Platform } from "../oci/types.ts";

/** What a user gave for a registry; the members of Docker's X-Registry-Auth. */
export interface Credentials {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Of an earlier login: exchanged for access tokens. */
  readonly identityToken?: string | undefined;
  /** A bearer token that is sent as it is. */
  readonly registryToken?: string | undefined;
  readonly serverAddress?: string | undefined;
}

export interface MirrorRule {
  /** "host[:port][/path]", or a URL with its scheme. */
  readonly location: string;
  /** TLS without verification, or none. */
  readonly insecure?: boolean | undefined;
  /** What is asked of it: everything (default), only what is named by digest, or only by tag. */
  readonly pull?: "all" | "digest-only" | "tag-only" | undefined;
}

/** How the repositories below a prefix are reached. Of several rules the one with the longest prefix holds. */
export interface RegistryRule {
  /** "ghcr.io", "ghcr.io/acme", "*.example.com". */
  readonly prefix: string;
  /** Takes the prefix's place when the registry is asked. */
  readonly location?: string | undefined;
  readonly insecure?: boolean | undefined;
  /** Nothing is pulled or pushed. */
  readonly blocked?: boolean | undefined;
  /** In the order in which they are asked, before the registry. */
  readonly mirrors?: readonly MirrorRule[] | undefined;
  /** The registry itself is not asked when no mirror has it. */
  readonly mirrorsOnly?: boolean | undefined;
}

export interface RemoteSettings {
  /** URLs of mirrors of docker.io. */
  readonly mirrors: readonly string[];
  /** "host", "host:port" or a network in CIDR notation. 127.0.0.0/8 and ::1 always are. */
  readonly insecureRegistries: readonly string[];
  readonly rules: readonly RegistryRule[];
  /** Folders with `<host:port>/*.crt, *.cert, *.key`; what an earlier one has for a host counts. */
  readonly certificateFolders: readonly string[];
  readonly httpProxy: string | undefined;
  readonly httpsProxy: string | undefined;
  /** Hosts, domains, networks that are reached directly, separated by commas. */
  readonly noProxy: string | undefined;
  /** Of the whole engine. */
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  /** How often a request is tried that brings nothing. */
  readonly maxDownloadAttempts: number;
}

export interface RemoteManifest {
  /** Media type as the document says it; digest and size of these bytes. */
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

export interface BlobSink {
  /** Bytes that it has. */
  readonly offset: number;
  /** The chunk is the sink's from now on, its memory too. */
  write(chunk: Uint8Array): Promise<void>;
}

export interface BlobSource {
  readonly digest: Digest;
  readonly size: number;
  /** The bytes from `start` up to `end`, anew at each call. */
  open(start: number, end: number): Readable;
}

export interface SendOptions {
  /** Paths of repositories of the same registry that may have the blob. */
  readonly mountFrom?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the blob that have gone. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly onRetry?: FetchOptions["onRetry"];
}

export type Sent = { readonly how: "exists" | "sent" } | { readonly how: "mounted"; readonly from: string };

/** As the registry says, unverified; undefined where it says nothing. */
export interface Described {
  readonly digest: Digest | undefined;
  readonly size: number | undefined;
}

/** A registry of this process, whose files can be shared. */
export interface Neighbour {
  /** Where its files are; undefined while it does not run. */
  readonly folder: string | undefined;
  /** Whether "localhost:5000" may be its: worth a question. */
  isAt(host: string): boolean;
  /** The blob's file, by the headers of an answer about it; undefined when that is no answer of its. */
  fileOf(digest: Digest, headers: Readonly<Record<string, string | undefined>>): string | undefined;
}

export interface Repository {
  readonly reference: Reference;
  /** By tag or digest. "invalid" when the bytes are not those of the digest, or no manifest that we know. */
  manifest(
    which: { readonly tag: string } | { readonly digest: Digest },
    signal?: AbortSignal,
  ): Promise<RemoteManifest>;
  /** Pages are asked for as they are needed. */
  tags(signal?: AbortSignal): AsyncIterable<string>;
  /** What refers to a manifest, as the registry itself says; empty where it knows of nothing. */
  referrers(subject: Digest, signal?: AbortSignal): Promise<Descriptor[]>;
  /**
   * Post-condition: `sink` was given exactly the `size` bytes from its offset on; whether they are the right ones is for its owner to
   * check. `urls` of the descriptor are asked when the registry does not have it.
   */
  fetch(blob: Descriptor, sink: BlobSink, options?: FetchOptions): Promise<void>;
  /** A file on this machine with the blob's verified bytes, which its owner may remove at any time; undefined but for a neighbour's repositories. */
  shared(blob: Descriptor, signal?: AbortSignal): Promise<string | undefined>;
  /** Post-condition: the registry has the blob: it had it, took it from another repository, or got it. */
  send(blob: BlobSource, options?: SendOptions): Promise<Sent>;
  /** What the registry itself says of a manifest, by tag or digest, or of a blob, without sending it; undefined when it does not have it. */
  describe(
    which: { readonly manifest: string } | { readonly blob: Digest },
    signal?: AbortSignal,
  ): Promise<Described | undefined>;
  /** Whether the registry has this manifest. */
  hasManifest(digest: Digest, signal?: AbortSignal): Promise<boolean>;
  /** Post-condition: the registry has these bytes under the tag or digest. "invalid" when it says that it understood others. */
  putManifest(
    which: { readonly tag: string } | { readonly digest: Digest },
    manifest: RemoteManifest,
    signal?: AbortSignal,
  ): Promise<void>;
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** The next attempt begins in so many milliseconds, because of that error. */
  readonly onRetry?: ((delay: number, error: unknown) => void) | undefined;
}

export interface LoginResult {
  readonly status: string;
  /** To be kept in place of the password; "" when the registry gives none. */
  readonly identityToken: string;
}

export interface SearchOptions {
  /** 1 to 100; default 25. */
  readonly limit?: number | undefined;
  readonly credentials?: Credentials | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Names as on the wire. */
export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}

export interface Download {
  readonly body: Readable;
  /** As the server says it. */
  readonly size: number | undefined;
  /** Milliseconds since the epoch; as the server says it. */
  readonly modifiedAt: number | undefined;
}

export interface Distribution {
  readonly descriptor: Descriptor;
  readonly platforms: readonly Platform[];
}

export type Access = "pull" | "push";

export interface Remote {
  /** No request is made. "forbidden" when a rule blocks it. */
  repository(
    reference: Reference,
    options: {
      readonly credentials?: Credentials | undefined;
      readonly access: Access;
      /** For this once, as if the registry were among the insecure ones. */
      readonly insecure?: boolean | undefined;
    },
  ): Repository;
  /** "unauthorized" when the registry, by default docker.io's, does not take them. */
  login(credentials: Credentials, signal?: AbortSignal): Promise<LoginResult>;
  search(term: string, options?: SearchOptions): Promise<SearchResult[]>;
  /** What a name stands for, without fetching the image. */
  distribution(
    reference: Reference,
    options: {
      readonly credentials?: Credentials | undefined;
      readonly insecure?: boolean | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Distribution>;
  /** A file behind an http(s) URL, reached by the settings' proxies and authorities. "invalid" when it answers no success. */
  download(url: URL, signal?: AbortSignal): Promise<Download>;
  /** Later requests follow the new settings; those under way end under the old ones. */
  configure(settings: RemoteSettings): void;
  readonly settings: RemoteSettings;
  /** Whose files can be shared instead of being sent. */
  neighbour: Neighbour | undefined;
  /** Closes connections. Idempotent. */
  close(): Promise<void>;
}
