/**
 * The contract of build contexts: how the files of a build get onto this machine's disk.
 *
 *   received   a tar body, a text file, a URL, a Git repository: a folder of its own, gone with `Symbol.asyncDispose`
 *   synced     the folder of a client that speaks our protocol: kept, and at the next build of the same folder only what changed is sent
 *
 * Every folder belongs to the builder: nothing else writes to it, and what is in it came through `FolderWriter`, so that no path of it
 * leaves it. What is kept has a row (`build_contexts`) before it has a folder; a start removes folders without a row, and those
 * whose sync was under way when the engine died. What is received lies in `tmp/`, which a start empties.
 */
import type { Readable } from "node:stream";
import type { BuildRequest, ContextTree, SshSource } from "../builder.ts";

export interface Contexts {
  /** A tar, plain or compressed (gzip, zstd, xz, bzip2). Read to its end; left open. "invalid" for what is no tar or unsafe. */
  receive(body: Readable, options?: { readonly signal?: AbortSignal | undefined }): Promise<OwnedContext>;
  /** `remote=`: a Git repository, a tar or a text file, which becomes the Dockerfile. */
  fetch(remote: string, options?: FetchOptions): Promise<OwnedContext>;
  /**
   * The kept folder for `name`, brought to what `lines` say. When another build uses it a second one is begun. Disposing gives it back.
   */
  sync(request: SyncRequest): Promise<OwnedContext>;
  /** What is kept, for `system df` and `prune`. */
  records(): ContextRecord[];
  /** Frees a kept folder that is not in use; false otherwise. */
  remove(id: string): Promise<boolean>;
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** For Git over SSH. */
  readonly agent?: SshSource | undefined;
  /** Keep `.git`; default false. */
  readonly keepGitDir?: boolean | undefined;
}

export interface OwnedContext extends AsyncDisposable {
  readonly tree: ContextTree;
  /** Set when what was fetched was a text file: it is the Dockerfile, and there are no other files. */
  readonly dockerfile?: string | undefined;
}

/**
 * A file of a client's folder, one line of its listing: a JSON array [path, kind, mode, mtime, size, link, stamp].
 * Paths are relative, clean, "/" between; a folder's line comes before what is in it. A line that is the same as last time stands for a
 * file that did not change.
 */
export type SyncLine = readonly [
  path: string,
  /** File, folder, symbolic link; a further name of a file that an earlier line has. */
  kind: "f" | "d" | "l" | "h",
  /** Permission bits, 0o0000 to 0o7777. */
  mode: number,
  /** Nanoseconds since the epoch, in decimal. */
  mtime: string,
  /** Bytes; 0 for what is no file. */
  size: number,
  /** A link's target; the earlier line's path for a further name; "" for others. */
  link: string,
  /** Changes whenever the content may have changed: inode and change time, as the client sees them. A further name has the file's. */
  stamp: string,
];

export interface SyncRequest {
  /** Which folder of which machine: the same text for the same folder. */
  readonly name: string;
  /** What people see of it in `system df`: "[internal] load build context". */
  readonly description: string;
  /** Each is a SyncLine as text, without a line feed. */
  readonly lines: AsyncIterable<string>;
  /** Asked for once, with the numbers (from 0) of the lines whose files are needed, ascending: their bytes one after another. */
  contents(numbers: readonly number[]): AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of files received so far, of all that are asked for; not called when nothing is. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

export interface ContextRecord {
  readonly id: string;
  readonly description: string;
  /** Bytes on the disk. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly usageCount: number;
  readonly inUse: boolean;
}

/** The Dockerfile of a context, with the ignore lines that hold for it. */
export type DockerfileText = BuildRequest["dockerfile"] & { readonly ignore: readonly string[] };
