/**
 * The images module's contract.
 *
 * Vocabulary
 *   image id   the digest of the image's configuration file (what `docker images` shows)
 *   target     the descriptor a name points to: the image's manifest. Of an index with several platforms one image is kept,
 *              the one that was asked for or that fits the host best
 *   reference  a name with a tag or digest, normalised ("docker.io/library/alpine:3"); shown familiar ("alpine:3")
 *
 * An image without a reference is dangling; it stays until pruned or removed.
 */
import type { Readable } from "node:stream";
import type {
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImagePruneResult,
  ImageSummary,
} from "../api/types/image.ts";
import type { Digest } from "../base/digest.ts";
import type { Descriptor, ImageConfigFile, ImageRunConfig, Platform } from "../oci/types.ts";

/** An image as the rest of the engine needs it: frozen. */
export interface Image {
  readonly id: Digest;
  readonly manifest: Descriptor;
  readonly config: ImageConfigFile;
  /** The topmost layer; undefined for an image without layers. */
  readonly chainId: Digest | undefined;
}

export type Filters = Readonly<Record<string, readonly string[]>>;

/** One line of progress as Docker's clients draw it (jsonmessage). */
export interface Progress {
  readonly id?: string | undefined;
  readonly status?: string | undefined;
  readonly stream?: string | undefined;
  readonly progressDetail?: { readonly current?: number | undefined; readonly total?: number | undefined } | undefined;
  readonly aux?: unknown;
}

export interface ImageUse {
  readonly containerId: string;
  readonly imageId: Digest;
  readonly running: boolean;
}

export interface Images {
  /** Records the use, and takes microseconds. By reference, id, id prefix, digest. "not-found": `No such image: x`; an ambiguous prefix is refused. `platform`: must match, else "not-found". */
  get(name: string, platform?: Platform | undefined): Image;
  list(options: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly sharedSize: boolean;
    readonly digests: boolean;
    readonly manifests: boolean;
  }): Promise<ImageSummary[]>;
  inspect(name: string, platform?: Platform | undefined): Promise<ImageInspect>;
  history(name: string, platform?: Platform | undefined): ImageHistoryItem[];
  tag(name: string, repo: string, tag: string): void;
  /** Docker's rules: untag, delete when the last reference goes, refuse while a container uses it. */
  remove(name: string, options: { readonly force: boolean; readonly prune: boolean }): Promise<ImageDeleteItem[]>;
  prune(filters: Filters): Promise<ImagePruneResult>;
  /** Docker archives and OCI layouts; plain, gzip, zstd. "invalid" for what is neither; nothing is left then. The archive is read, not closed. */
  load(
    archive: Readable,
    options: {
      readonly platform?: Platform | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly onProgress: (line: Progress) => void;
    },
  ): Promise<void>;
  /** One archive that is an OCI layout and a Docker archive at once. */
  save(names: readonly string[], platform?: Platform | undefined): Promise<Readable>;
  /** A flat root file system becomes an image of one layer. */
  import(
    tar: Readable,
    options: {
      readonly repo?: string | undefined;
      readonly tag?: string | undefined;
      readonly message?: string | undefined;
      readonly changes: readonly string[];
      readonly platform?: Platform | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<Digest>;
  /** Makes an image of a container's changes; see `containers`. `diff` is a layer tar. */
  commit(options: {
    readonly parent: Image | undefined;
    readonly diff: Readable;
    readonly config: ImageRunConfig;
    readonly repo?: string | undefined;
    readonly tag?: string | undefined;
    readonly author?: string | undefined;
    readonly message?: string | undefined;
    readonly containerId: string;
  }): Promise<Digest>;
  /** Removes blobs and layers that nothing reaches (what a killed gantryd left; layers whose last container went after their image). Returns the bytes freed. */
  collect(): Promise<number>;
  /** Bytes of all layers and blobs, each once. */
  layersSize(): number;
}
