import type { BigIntStats } from "node:fs";
import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../../../base/files.ts";

/** What a file was when it was hashed: inode, size, both times, in one string. */
type Fingerprint = string;

/** A file that changed this short a time ago may change again without its times telling. Milliseconds. */
const RACY = 50n;
const VERSION = 1;

/**
 * The digests of files' contents by what stat says of them, kept in a file between builds, so that an unchanged context costs stats
 * only. The inode's change time is part of it: no program can set that one back.
 */
export class Hashes {
  readonly #file: string | undefined;
  readonly #known: Map<string, readonly [Fingerprint, string]>;
  readonly #next = new Map<string, readonly [Fingerprint, string]>();
  #changed = false;

  constructor(file: string | undefined) {
    this.#file = file;
    this.#known = file === undefined ? new Map() : read(file);
  }

  get(path: string, stats: BigIntStats): string | undefined {
    const known = this.#known.get(path);
    if (known === undefined || known[0] !== fingerprint(stats)) return undefined;
    this.#next.set(path, known);
    return known[1];
  }

  /** `stats`: from before the file was read. */
  set(path: string, stats: BigIntStats, digest: string): void {
    if (this.#file === undefined) return;
    const settled = BigInt(Date.now()) - RACY;
    if (stats.ctimeMs > settled || stats.mtimeMs > settled) return;
    this.#next.set(path, [fingerprint(stats), digest]);
    this.#changed = true;
  }

  /** What other selections of the same tree know stays, as long as nothing says otherwise. */
  save(): void {
    if (this.#file === undefined || !this.#changed) return;
    const all = new Map([...this.#known, ...this.#next]);
    writeFileAtomic(this.#file, JSON.stringify({ version: VERSION, files: [...all] }), { mode: 0o600 });
  }
}

function fingerprint({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): Fingerprint {
  return `${dev.toString(36)} ${ino.toString(36)} ${size.toString(36)} ${mtimeNs.toString(36)} ${ctimeNs.toString(36)}`;
}

/** Nothing, for a file that is not there or makes no sense. */
function read(file: string): Map<string, readonly [Fingerprint, string]> {
  try {
    const { version, files } = JSON.parse(readFileSync(file, "utf8")) as {
      version: number;
      files: [string, readonly [Fingerprint, string]][];
    };
    return version === VERSION ? new Map(files) : new Map();
  } catch {
    return new Map();
  }
}
