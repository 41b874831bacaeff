/** A folder as the lines of its listing (api: SyncLine), without what its ignore file leaves out. */
import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { type Matched, PatternList } from "../../builder/dockerfile/ignore.ts";

export interface ListedFile {
  /** Relative to the folder. */
  readonly path: string;
  readonly size: number;
}

export interface Listing {
  /** Lines with their line feeds, some at a time. */
  chunks(): AsyncGenerator<string>;
  /** Of the line with this number, once it was given out; undefined for what is no file. */
  file(number: number): ListedFile | undefined;
}

/** Lines in one chunk. */
const CHUNK = 256;

/** Folders come before what is in them. Throws "invalid" for what no context may have. */
export function listFolder(folder: string, patterns: readonly string[]): Listing {
  const files: (ListedFile | undefined)[] = [];
  return {
    async *chunks() {
      let lines = "";
      let count = 0;
      // The connection's turn comes first: the request goes out before the folder is looked at.
      await setImmediate();
      for (const { line, file } of new Walk(folder, new PatternList(patterns)).folder()) {
        files.push(file);
        lines += `${line}\n`;
        if (++count % CHUNK !== 0) continue;
        yield lines;
        lines = "";
        // The connection's turn: what was listed goes out while the rest is looked at.
        await setImmediate();
      }
      if (lines !== "") yield lines;
    },
    file: (number) => files[number],
  };
}

interface Found {
  readonly line: string;
  readonly file: ListedFile | undefined;
}

class Walk {
  readonly #root: string;
  readonly #ignore: PatternList;
  /** Files with several names, by inode: the first name. */
  readonly #names = new Map<string, string>();

  constructor(root: string, ignore: PatternList) {
    this.#root = root;
    this.#ignore = ignore;
  }

  *folder(folder = "", state: Matched = this.#ignore.root): Generator<Found> {
    const ignore = this.#ignore;
    for (const name of namesIn(this.#root, folder)) {
      const path = folder === "" ? name : `${folder}/${name}`;
      const matched = ignore.isEmpty ? state : ignore.enter(state, path);
      const stat = lstatSync(`${this.#root}/${path}`, { bigint: true, throwIfNoEntry: false });
      if (stat === undefined || stat.isSocket()) continue;
      if (!stat.isDirectory()) {
        if (!matched.matched) yield this.#leaf(path, stat);
      } else if (!matched.matched) {
        yield { line: lineOf(path, "d", stat), file: undefined };
        yield* this.folder(path, matched);
      } else if (ignore.mayMissBelow(matched, path)) yield* this.#exceptions(path, stat, matched);
    }
  }

  /** Of a folder that is left out but for something in it. */
  *#exceptions(path: string, stat: BigIntStats, state: Matched): Generator<Found> {
    let told = false;
    for (const found of this.folder(path, state)) {
      if (!told) yield { line: lineOf(path, "d", stat), file: undefined };
      told = true;
      yield found;
    }
  }

  #leaf(path: string, stat: BigIntStats): Found {
    if (stat.isSymbolicLink())
      return { line: lineOf(path, "l", stat, readlinkSync(`${this.#root}/${path}`)), file: undefined };
    if (!stat.isFile()) throw notInContext(path, stat);
    if (stat.nlink > 1n) {
      const inode = `${stat.dev}:${stat.ino}`;
      const first = this.#names.get(inode);
      if (first !== undefined) return { line: lineOf(path, "h", stat, first), file: undefined };
      this.#names.set(inode, path);
    }
    return { line: lineOf(path, "f", stat), file: { path, size: Number(stat.size) } };
  }
}

const notInContext = (path: string, stat: BigIntStats): EngineError =>
  new EngineError("invalid", `the build context has ${stat.isFIFO() ? "a named pipe" : "a device"}: ${path}`, {
    hint: "Only files, folders and links can be in a build context: leave it out with .dockerignore.",
  });

function lineOf(path: string, kind: "f" | "d" | "l" | "h", stat: BigIntStats, link = ""): string {
  // A folder's own change says nothing of its content; a file's inode and change time do.
  const stamp = kind === "f" || kind === "h" ? `${stat.dev}:${stat.ino}:${stat.ctimeNs}` : "";
  const size = kind === "f" ? Number(stat.size) : 0;
  return JSON.stringify([path, kind, Number(stat.mode) & 0o7777, String(stat.mtimeNs), size, link, stamp]);
}

function namesIn(root: string, folder: string): string[] {
  try {
    const names = readdirSync(`${root}/${folder}`).sort();
    const strange = names.find((name) => name.includes("\ufffd"));
    if (strange !== undefined)
      throw new EngineError("invalid", `the build context has a name that is no UTF-8: ${folder}/${strange}`);
    return names;
  } catch (error) {
    if (errnoOf(error) !== "EACCES") throw error;
    throw new EngineError("invalid", `error checking context: no permission to read from '${root}/${folder}'`, {
      hint: "Leave it out with .dockerignore, or give yourself the right to read it.",
      cause: error,
    });
  }
}
