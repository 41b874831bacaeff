/**
 * Upstreams: registries that this one is a cache of.
 *
 * Repositories whose names begin with an upstream's prefix are its copies: "docker.io/library/alpine" is "library/alpine" there. What a
 * client pulls and the cache lacks is fetched, kept like a push, and sent while it arrives. A manifest or blob by digest never changes; a
 * tag is looked at again when it is older than `ttl`, and served as it is, with a warning, when the upstream is away.
 */
import type { Digest } from "../../base/digest.ts";
import type { Descriptor } from "../../oci/types.ts";

export interface UpstreamConfig {
  /** First components of a repository's name, without a slash at the end; "" is every repository. */
  readonly prefix: string;
  /** "https://registry-1.docker.io", or with a path that all repositories are below. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** A file with the password. */
  readonly passwordFile?: string | undefined;
  /** Certificates are not verified. */
  readonly insecure?: boolean | undefined;
  /** Milliseconds that a tag is served without asking. Default five minutes. */
  readonly ttl?: number | undefined;
}

export interface UpstreamManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** Of these bytes, and by the algorithm that was asked for. */
  readonly digest: Digest;
}

export interface BlobTarget {
  write(chunk: Uint8Array): Promise<void>;
}

/** One registry. `name` is the repository's name there. Rejects with kinds as `remote/` has them; what is not there is undefined. */
export interface Upstream {
  /** What a tag stands for now, without the manifest; undefined also where the registry does not say. */
  digestOf(name: string, tag: string, signal: AbortSignal): Promise<Digest | undefined>;
  manifest(name: string, reference: string, signal: AbortSignal): Promise<UpstreamManifest | undefined>;
  /** Bytes. */
  blobSize(name: string, digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  /** Post-condition: the target was given exactly `size` bytes; whether they are the right ones is for its owner to check. */
  fetch(
    name: string,
    blob: { readonly digest: Digest; readonly size: number },
    target: BlobTarget,
    signal: AbortSignal,
  ): Promise<void>;
  tags(name: string, signal: AbortSignal): Promise<string[]>;
  /** What refers to a manifest. */
  referrers(name: string, subject: Digest, signal: AbortSignal): Promise<Descriptor[]>;
  close(): Promise<void>;
}
