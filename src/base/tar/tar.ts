/**
 * The tar module's contract: reading and writing archives (ustar, PAX, GNU) without losing a byte of what they say.
 *
 * Three doors:
 * - `TarParser` (parser.ts): push chunks in, get headers and slices of data out, synchronously and without copies. For unpackers.
 * - `readTar` (reader.ts): `for await (const entry of readTar(stream))`; an entry's body is read as a stream or as bytes, or
 *   not at all: going on to the next entry skips it. The bytes between are read but not kept.
 * - `TarWriter` (writer.ts): `await writer.add(header, body)` for each entry, `await writer.finish()`; read the archive from `writer.stream`.
 *
 * Errors are EngineError "invalid", and name the entry or the offset. A body that stops early is an error; an archive that
 * stops between two entries without its end mark is accepted, as Go's and GNU's readers do.
 * Sources: POSIX.1-2001 pax, GNU tar manual "Basic Tar Format" and "Sparse Formats", star(5), libarchive tar(5).
 */

export type TarType = "file" | "hardlink" | "symlink" | "char" | "block" | "directory" | "fifo";

/** A run of bytes that a sparse file has; what lies between is a hole. Bytes. */
export interface TarSegment {
  readonly offset: number;
  readonly length: number;
}

export interface TarHeader {
  readonly type: TarType;
  /** As in the archive: may be absolute, begin with "./", hold "..", end with "/"; see `cleanEntryPath`. */
  readonly path: string;
  /** The path's bytes, only when they are no UTF-8 (`path` then has U+FFFD in it). */
  readonly rawPath: Buffer | undefined;
  /** A symbolic link's target, or a hard link's path in the archive; "" for others. */
  readonly linkPath: string;
  readonly rawLinkPath: Buffer | undefined;
  /** Permission bits with setuid, setgid and sticky: 0o0000 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Bytes of the file, holes included; 0 for all but "file". */
  readonly size: number;
  /** Nanoseconds since the epoch; may be negative. */
  readonly mtime: bigint;
  readonly atime: bigint | undefined;
  /** Device numbers; 0 for what is no device. */
  readonly major: number;
  readonly minor: number;
  /** Extended attributes by full name ("security.capability"). */
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** Only for sparse files: ascending, apart, inside `size`. */
  readonly sparse: readonly TarSegment[] | undefined;
}

/** What `TarParser` calls, in this order for each entry: entry, data*, end. What one of them throws comes out of `write`. */
export interface TarSink {
  entry(header: TarHeader): void;
  /** `chunk` is a slice of the caller's: use it before returning. `position` is its place in the file; holes are not reported. */
  data(chunk: Buffer, position: number): void;
  end(): void;
}

export interface TarLimits {
  /** Bytes of one extended header, long name or sparse map. Default 1 MiB, as Go's reader. */
  readonly headerBytes?: number | undefined;
}

/** What `TarWriter.add` takes; only the path is needed. A body makes the size known when it is bytes; a stream needs `size`. */
export interface TarInput {
  readonly path: string | Buffer;
  /** Default "file". */
  readonly type?: TarType | undefined;
  readonly linkPath?: string | Buffer | undefined;
  /** Default 0o644; 0o755 for directories, 0o777 for symbolic links. */
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly userName?: string | undefined;
  readonly groupName?: string | undefined;
  readonly size?: number | undefined;
  /** Nanoseconds since the epoch. Default 0. */
  readonly mtime?: bigint | undefined;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  readonly xattrs?: ReadonlyMap<string, Buffer> | undefined;
}
