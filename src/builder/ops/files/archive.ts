import { createReadStream } from "node:fs";
import { decompress } from "../../../base/decompress.ts";
import { EngineError, errorKind } from "../../../base/errors.ts";
import { decodeHeader, isZeroBlock } from "../../../base/tar/header.ts";
import { cleanEntryPath } from "../../../base/tar/names.ts";
import { TarParser } from "../../../base/tar/parser.ts";
import type { TarHeader, TarSink } from "../../../base/tar/tar.ts";
import { unpackBy } from "../../../kernel/unpack-tools.ts";
import type { LayerBuilder } from "../../../snapshots/layer-builder.ts";
import type { Landing } from "./landing.ts";
import { baseOf } from "./select.ts";
import { latin1, type SourceTree } from "./source-tree.ts";

/** Whether a file is a tar, plain or compressed: by its content alone. */
export async function isArchive(tree: SourceTree, path: string): Promise<boolean> {
  let block = Buffer.alloc(0);
  try {
    for await (const chunk of plainBytes(tree, path)) {
      block = Buffer.concat([block, chunk]);
      if (block.length >= 512) break;
    }
    if (block.length < 512 || isZeroBlock(block)) return false;
    decodeHeader(block.subarray(0, 512));
    return true;
  } catch (error) {
    if (errorKind(error) === "invalid") return false;
    throw error;
  }
}

export interface ArchiveRequest {
  readonly tree: SourceTree;
  readonly path: string;
  readonly landing: Landing;
  readonly builder: LayerBuilder;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly latest: bigint | undefined;
  readonly stop: () => void;
}

/** Unpacks it at the destination, as `tar -x` as root there. "invalid" for entries that lead out of it. */
export async function addArchive(request: ArchiveRequest): Promise<void> {
  const parser = new TarParser(new ArchiveSink(request));
  for await (const chunk of plainBytes(request.tree, request.path)) {
    request.stop();
    parser.write(chunk);
  }
  parser.end();
}

function plainBytes(tree: SourceTree, path: string): AsyncGenerator<Buffer> {
  const file = createReadStream("", { fd: tree.openFile(path), highWaterMark: 256 << 10 });
  return closing(file, decompress(file, unpackBy));
}

async function* closing(file: { destroy(): void }, bytes: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } finally {
    file.destroy();
  }
}

const ZEROS = Buffer.alloc(64 << 10);

class ArchiveSink implements TarSink {
  readonly #request: ArchiveRequest;
  #skipping = false;
  #size = 0;
  #at = 0;

  constructor(request: ArchiveRequest) {
    this.#request = request;
  }

  entry(header: TarHeader): void {
    const to = this.#placeOf(header);
    this.#skipping = to === undefined;
    if (to === undefined) return;
    const { builder, owner, latest } = this.#request;
    const linkPath = header.type === "hardlink" ? this.#linked(header) : header.linkPath;
    const mtime = latest !== undefined && header.mtime > latest ? latest : header.mtime;
    const own = { path: to, rawPath: undefined, linkPath, atime: undefined, sparse: undefined, mtime, ...owner };
    builder.entry({ ...header, ...own });
    this.#size = header.type === "file" ? header.size : 0;
    this.#at = 0;
  }

  data(chunk: Buffer, position: number): void {
    if (this.#skipping) return;
    this.#fill(position);
    this.#request.builder.data(chunk, this.#at);
    this.#at += chunk.length;
  }

  end(): void {
    if (this.#skipping) return;
    this.#fill(this.#size);
    this.#request.builder.end();
  }

  /** Holes become zeros. */
  #fill(position: number): void {
    while (this.#at < position) {
      const piece = ZEROS.subarray(0, Math.min(ZEROS.length, position - this.#at));
      this.#request.builder.data(piece, this.#at);
      this.#at += piece.length;
    }
  }

  #placeOf(header: TarHeader): string | undefined {
    const { landing } = this.#request;
    const path = this.#inside(header.path);
    if (baseOf(path).startsWith(".wh."))
      throw new EngineError("invalid", `the archive has ${JSON.stringify(header.path)}, which cannot be in an image`);
    if (header.rawPath !== undefined)
      throw new EngineError("invalid", `the archive has a name that is no UTF-8: ${JSON.stringify(header.path)}`);
    if (header.type === "directory") return landing.archivedFolder(latin1(path));
    const to = landing.archived(latin1(path));
    if (header.type === "symlink") landing.noteLink(to, header.linkPath);
    return to;
  }

  #linked({ linkPath }: TarHeader): string {
    return this.#request.landing.placeOf(latin1(this.#inside(linkPath)));
  }

  #inside(path: string): string {
    const clean = cleanEntryPath(path);
    if (clean === undefined)
      throw new EngineError("invalid", `the archive's entry ${JSON.stringify(path)} leads out of the destination`);
    return clean;
  }
}
