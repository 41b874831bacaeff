/** A context that comes as a tar. */
import type { Readable } from "node:stream";
import { decompress } from "../../base/decompress.ts";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { cleanEntryPath } from "../../base/tar/names.ts";
import { TarParser } from "../../base/tar/parser.ts";
import type { TarHeader, TarSink } from "../../base/tar/tar.ts";
import { unpackBy } from "../../kernel/unpack-tools.ts";
import { FolderWriter, type OpenFile } from "./folder-writer.ts";

/** Files up to this size are put together in memory and made by one call. Bytes. */
const SMALL = 128 << 10;

/** Of a file with holes, which costs its sender nothing. Bytes. */
const MAX_SPARSE = 64 * 2 ** 30;

/**
 * Post-condition: `root`, an empty folder, holds the archive's files. Reads to the archive's end, plain or compressed. "invalid" for what
 * is no tar and for entries that no context may have: names that leave it, devices, fifos, names that are no UTF-8.
 */
export async function receiveTar(source: Readable, root: string, signal?: AbortSignal): Promise<void> {
  const writer = new FolderWriter(root);
  const unpacker = new Unpacker(writer);
  const parser = new TarParser(unpacker);
  try {
    for await (const chunk of decompress(source, unpackBy)) {
      signal?.throwIfAborted();
      parser.write(chunk);
    }
    parser.end();
  } catch (error) {
    // Node's word for a request whose client went away.
    if (errnoOf(error) !== "ECONNRESET") throw error;
    throw new EngineError("cancelled", "the client stopped sending the build context", { cause: error });
  } finally {
    unpacker.abandon();
  }
  signal?.throwIfAborted();
  await writer.finish();
}

class Unpacker implements TarSink {
  readonly #writer: FolderWriter;
  #path = "";
  #header: TarHeader | undefined;
  #whole: Buffer | undefined;
  #file: OpenFile | undefined;

  constructor(writer: FolderWriter) {
    this.#writer = writer;
  }

  entry(header: TarHeader): void {
    this.#path = pathOf(header);
    this.#header = header;
    const take = TAKE[header.type];
    if (take === undefined) throw notInContext(header);
    take.call(this, header);
  }

  data(chunk: Buffer, position: number): void {
    if (this.#whole !== undefined) chunk.copy(this.#whole, position);
    else this.#file?.write(chunk, position);
  }

  end(): void {
    const header = this.#header as TarHeader;
    if (this.#whole !== undefined) this.#writer.file(this.#path, header, this.#whole);
    const file = this.#file;
    this.#whole = this.#file = undefined;
    file?.close(header.size);
  }

  /** After a failure in the middle of a file. */
  abandon(): void {
    this.#file?.abort();
    this.#file = undefined;
  }

  begin(header: TarHeader): void {
    if (header.sparse !== undefined && header.size > MAX_SPARSE)
      throw new EngineError(
        "too-large",
        `${JSON.stringify(header.path)} in the build context has ${header.size} bytes`,
      );
    if (header.size > SMALL || header.sparse !== undefined) this.#file = this.#writer.open(this.#path, header);
    else this.#whole = Buffer.alloc(header.size);
  }

  makeFolder(header: TarHeader): void {
    this.#writer.directory(this.#path, header);
  }

  link(header: TarHeader): void {
    this.#writer.symlink(this.#path, header.linkPath, header);
  }

  hardlink(header: TarHeader): void {
    const target = cleanEntryPath(header.linkPath);
    if (target === undefined) throw leaves(header.linkPath);
    this.#writer.hardlink(this.#path, target);
  }
}

const TAKE: Readonly<Partial<Record<TarHeader["type"], (this: Unpacker, header: TarHeader) => void>>> = {
  file: Unpacker.prototype.begin,
  directory: Unpacker.prototype.makeFolder,
  symlink: Unpacker.prototype.link,
  hardlink: Unpacker.prototype.hardlink,
};

function pathOf({ path, rawPath, rawLinkPath }: TarHeader): string {
  if (rawPath !== undefined || rawLinkPath !== undefined)
    throw new EngineError("invalid", `the build context has a name that is no UTF-8: ${JSON.stringify(path)}`);
  const clean = cleanEntryPath(path);
  if (clean === undefined) throw leaves(path);
  return clean;
}

const leaves = (path: string): EngineError =>
  new EngineError("invalid", `the build context has a path that leaves it: ${JSON.stringify(path)}`);

const WORDS: Readonly<Partial<Record<TarHeader["type"], string>>> = {
  char: "a device",
  block: "a device",
  fifo: "a named pipe",
};

const notInContext = ({ type, path }: TarHeader): EngineError =>
  new EngineError("invalid", `the build context has ${WORDS[type] ?? type}: ${JSON.stringify(path)}`, {
    hint: "Only files, folders and links can be in a build context: leave it out with .dockerignore.",
  });
