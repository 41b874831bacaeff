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
      for (const { line, file } of walk(folder, "", new PatternList(patterns))) {
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

function* walk(root: string, folder: string, ignore: PatternList, state: Matched = ignore.root): Generator<Found> {
  for (const name of namesIn(root, folder)) {
    const path = folder === "" ? name : `${folder}/${name}`;
    const matched = ignore.isEmpty ? state : ignore.enter(state, path);
    const stat = lstatSync(`${root}/${path}`, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || stat.isSocket()) continue;
    if (!stat.isDirectory()) {
      if (!matched.matched) yield leaf(root, path, stat);
      continue;
    }
    if (!matched.matched) {
      yield { line: lineOf(path, "d", stat, 0, ""), file: undefined };
      yield* walk(root, path, ignore, matched);
    } else if (ignore.mayMissBelow(matched, path)) yield* below(root, path, stat, ignore, matched);
  }
}

/** A folder that is left out but for something in it. */
function* below(root: string, path: string, stat: BigIntStats, ignore: PatternList, state: Matched): Generator<Found> {
  let told = false;
  for (const found of walk(root, path, ignore, state)) {
    if (!told) yield { line: lineOf(path, "d", stat, 0, ""), file: undefined };
    told = true;
    yield found;
  }
}

function leaf(root: string, path: string, stat: BigIntStats): Found {
  if (stat.isSymbolicLink())
    return { line: lineOf(path, "l", stat, 0, readlinkSync(`${root}/${path}`)), file: undefined };
  if (!stat.isFile())
    throw new EngineError("invalid", `the build context has ${stat.isFIFO() ? "a named pipe" : "a device"}: ${path}`, {
      hint: "Only files, folders and links can be in a build context: leave it out with .dockerignore.",
    });
  const size = Number(stat.size);
  return { line: lineOf(path, "f", stat, size, ""), file: { path, size } };
}

function lineOf(path: string, kind: "f" | "d" | "l", stat: BigIntStats, size: number, link: string): string {
  // A folder's own change says nothing of its content; a file's inode and change time do.
  const stamp = kind === "f" ? `${stat.dev}:${stat.ino}:${stat.ctimeNs}` : "";
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
