import { EngineError, errorMessage } from "../errors.ts";
import { decodeHeader, isZeroBlock, type RawHeader } from "./header.ts";
import { type MergedHeader, mergeHeader } from "./merge.ts";
import { decodeNumber } from "./numbers.ts";
import { decodePax, type PaxRecord } from "./pax.ts";
import { checkSparse, decodeOldSparse, SparseMapCollector } from "./sparse.ts";
import type { TarHeader, TarLimits, TarSegment, TarSink } from "./tar.ts";

const BLOCK = 512;
const DEFAULT_HEADER_BYTES = 1 << 20;

/**
 * A push parser: `write` chunks of any size, then `end`. Calls the sink as far as the chunks reach; keeps no chunk.
 * After an error it must not be used again.
 */
export class TarParser {
  readonly #sink: TarSink;
  readonly #headerBytes: number;
  readonly #partial = Buffer.allocUnsafe(BLOCK);
  #partialLength = 0;
  /** What the next whole block is; undefined while a body or padding passes. */
  #onBlock: (block: Buffer) => void = (block) => this.#header(block);
  /** Archive bytes before the block that is being read; for messages. */
  #offset = 0;
  #body: Body | undefined;
  #skip = 0;
  #collecting: Collecting | undefined;
  #globals: readonly PaxRecord[] = [];
  #locals: readonly PaxRecord[] = [];
  #longPath: Buffer | undefined;
  #longLink: Buffer | undefined;
  #current = "";
  #zeroBlocks = 0;
  #inEntry = false;

  constructor(sink: TarSink, limits: TarLimits = {}) {
    this.#sink = sink;
    this.#headerBytes = limits.headerBytes ?? DEFAULT_HEADER_BYTES;
  }

  /** The two zero blocks were seen; what follows is ignored. */
  get ended(): boolean {
    return this.#zeroBlocks >= 2;
  }

  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.ended) return;
      if (this.#body !== undefined) at = this.#passBody(this.#body, chunk, at);
      else if (this.#skip > 0) at = this.#passPadding(chunk, at);
      else if (this.#collecting !== undefined) at = this.#collect(this.#collecting, chunk, at);
      else at = this.#takeBlock(chunk, at);
    }
  }

  /** Throws "invalid" when the archive stops inside an entry; what fills the last block may be missing, as for Go's reader. */
  end(): void {
    if (this.ended) return;
    const whole = this.#partialLength === 0 && this.#collecting === undefined && !this.#inEntry;
    if (whole && !this.#extended()) return;
    const where = this.#current === "" ? "" : ` in ${JSON.stringify(this.#current)}`;
    throw new EngineError("invalid", `truncated tar archive: it stops${where} at byte ${this.#offset}`);
  }

  #takeBlock(chunk: Buffer, at: number): number {
    if (this.#partialLength === 0 && chunk.length - at >= BLOCK) {
      this.#block(chunk.subarray(at, at + BLOCK));
      return at + BLOCK;
    }
    const taken = chunk.copy(this.#partial, this.#partialLength, at, at + BLOCK - this.#partialLength);
    this.#partialLength += taken;
    if (this.#partialLength === BLOCK) {
      this.#partialLength = 0;
      this.#block(this.#partial);
    }
    return at + taken;
  }

  #block(block: Buffer): void {
    try {
      this.#onBlock(block);
    } catch (error) {
      if (!(error instanceof EngineError) || !error.message.startsWith("invalid tar header")) throw error;
      throw new EngineError("invalid", `${errorMessage(error)} (at byte ${this.#offset})`);
    }
    this.#offset += BLOCK;
  }

  #header(block: Buffer): void {
    if (isZeroBlock(block)) {
      this.#zeroBlocks++;
      return;
    }
    if (this.#zeroBlocks > 0) throw new EngineError("invalid", "invalid tar header: data after a lone zero block");
    const raw = decodeHeader(block);
    const special = SPECIAL[raw.typeflag];
    if (special !== undefined) this.#startCollecting(special, raw);
    else if (raw.typeflag === "S" && raw.format === "gnu") this.#oldSparse(block, raw);
    else this.#startEntry(mergeHeader(raw, this.#extensions(), undefined));
  }

  #startCollecting(kind: Collecting["kind"], raw: RawHeader): void {
    if (raw.size < 0 || raw.size > this.#headerBytes) {
      const name = kind === "ignored" ? "volume label" : "extended header";
      throw new EngineError(
        "invalid",
        `tar ${name} of ${raw.size} bytes at byte ${this.#offset} is too large: at most ${this.#headerBytes} are read`,
      );
    }
    const collecting = { kind, bytes: Buffer.allocUnsafe(raw.size), length: 0 };
    this.#collecting = collecting;
    if (raw.size === 0) this.#collected(collecting);
  }

  #collect(collecting: Collecting, chunk: Buffer, at: number): number {
    const taken = chunk.copy(collecting.bytes, collecting.length, at);
    collecting.length += taken;
    this.#offset += taken;
    if (collecting.length === collecting.bytes.length) this.#collected(collecting);
    return at + taken;
  }

  #collected({ kind, bytes }: Collecting): void {
    this.#collecting = undefined;
    this.#skip = padding(bytes.length);
    if (kind === "path") this.#longPath = untilNul(bytes);
    else if (kind === "link") this.#longLink = untilNul(bytes);
    else if (kind === "local") this.#locals = decodePax(bytes);
    else if (kind === "global") this.#addGlobals(decodePax(bytes));
  }

  #addGlobals(records: readonly PaxRecord[]): void {
    const merged = new Map([...this.#globals, ...records]);
    let size = 0;
    for (const [key, value] of merged) size += key.length + value.length;
    if (size > this.#headerBytes)
      throw new EngineError("invalid", `tar global headers are too large: at most ${this.#headerBytes} bytes are read`);
    this.#globals = [...merged];
  }

  #extensions() {
    const records = this.#globals.length === 0 ? this.#locals : [...this.#globals, ...this.#locals];
    return { records, longPath: this.#longPath, longLink: this.#longLink };
  }

  #extended(): boolean {
    return this.#locals.length > 0 || this.#longPath !== undefined || this.#longLink !== undefined;
  }

  /** Old GNU sparse: 4 segments in the header, the rest in blocks of 21 that follow it. */
  #oldSparse(block: Buffer, raw: RawHeader): void {
    const segments = decodeOldSparse(block, 386, 4);
    const realSize = decodeNumber(block, 483, 12);
    const merged = mergeHeader(raw, this.#extensions(), segments, realSize);
    if (block[482] === 0) {
      this.#startEntry(merged);
      return;
    }
    this.#current = merged.header.path;
    this.#inEntry = true;
    this.#onBlock = (more) => {
      segments.push(...decodeOldSparse(more, 0, 21));
      if (segments.length * 24 > this.#headerBytes)
        throw new EngineError("invalid", `the sparse map of ${JSON.stringify(merged.header.path)} is too large`);
      if (more[504] === 0) this.#startEntry(merged);
    };
  }

  #startEntry(merged: MergedHeader): void {
    this.#locals = [];
    this.#longPath = undefined;
    this.#longLink = undefined;
    this.#current = merged.header.path;
    this.#inEntry = true;
    this.#onBlock = (block) => this.#header(block);
    if (merged.mapInData) this.#readMap(merged);
    else this.#announce(merged.header, merged.stored);
  }

  #readMap({ header, stored }: MergedHeader): void {
    const collector = new SparseMapCollector();
    this.#onBlock = (block) => {
      const sparse = collector.add(block);
      if (collector.size > Math.min(stored, this.#headerBytes))
        throw new EngineError("invalid", `the sparse map of ${JSON.stringify(header.path)} is too large`);
      if (sparse === undefined) return;
      this.#onBlock = (next) => this.#header(next);
      this.#announce({ ...header, sparse }, stored - collector.size);
    };
  }

  #announce(header: TarHeader, stored: number): void {
    if (header.sparse !== undefined) checkSparse(header.sparse, header.size, stored);
    this.#sink.entry(header);
    if (stored === 0) {
      this.#endEntry(0);
      return;
    }
    this.#body = {
      left: stored,
      padding: padding(stored),
      position: 0,
      segments: header.sparse,
      segment: 0,
      within: 0,
    };
  }

  #passBody(body: Body, chunk: Buffer, at: number): number {
    const taken = Math.min(body.left, chunk.length - at);
    if (body.segments === undefined) this.#sink.data(chunk.subarray(at, at + taken), body.position);
    else this.#passSparse(body, body.segments, chunk.subarray(at, at + taken));
    body.position += taken;
    body.left -= taken;
    this.#offset += taken;
    if (body.left === 0) this.#endEntry(body.padding);
    return at + taken;
  }

  #passSparse(body: Body, segments: readonly TarSegment[], data: Buffer): void {
    for (let at = 0; at < data.length; ) {
      const segment = segments[body.segment] as TarSegment;
      const taken = Math.min(segment.length - body.within, data.length - at);
      if (taken > 0) this.#sink.data(data.subarray(at, at + taken), segment.offset + body.within);
      at += taken;
      body.within += taken;
      if (body.within === segment.length) {
        body.segment++;
        body.within = 0;
      }
    }
  }

  #endEntry(skip: number): void {
    this.#body = undefined;
    this.#skip = skip;
    this.#inEntry = false;
    this.#sink.end();
  }

  #passPadding(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#skip, chunk.length - at);
    this.#skip -= taken;
    this.#offset += taken;
    return at + taken;
  }
}

interface Body {
  left: number;
  readonly padding: number;
  /** Bytes passed; the place in the file for what is not sparse. */
  position: number;
  readonly segments: readonly TarSegment[] | undefined;
  segment: number;
  /** Bytes passed of the current segment. */
  within: number;
}

interface Collecting {
  readonly kind: "path" | "link" | "local" | "global" | "ignored";
  readonly bytes: Buffer;
  length: number;
}

/** Entries that speak about other entries: GNU long names, extended headers; volume labels say nothing. */
const SPECIAL: Readonly<Record<string, Collecting["kind"]>> = {
  L: "path",
  K: "link",
  x: "local",
  X: "local",
  g: "global",
  V: "ignored",
};

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function untilNul(bytes: Buffer): Buffer {
  const nul = bytes.indexOf(0);
  return nul < 0 ? bytes : bytes.subarray(0, nul);
}
