import {
  type BigIntStats,
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errnoOf } from "../base/errors.ts";
import { copyFile } from "../kernel/copy.ts";
import { deviceNumbers, makeNode, setTimes } from "../kernel/nodes.ts";
import { applyXattrs, readXattrs } from "./attributes.ts";

/** Work between two turns of the event loop. Milliseconds. */
const SLICE = 4;

/**
 * Copies what is in the folder `from` into the folder `to`, attributes, hard links, devices and holes' absence of bytes included;
 * folders merge, other things that are there already are an error. `from` must not change meanwhile. Gives the event loop its turns.
 */
export async function copyTree(from: string, to: string): Promise<void> {
  const links = new Map<string, string>();
  let until = performance.now() + SLICE;
  const copyFolder = async (path: string): Promise<void> => {
    for (const name of readdirSync(from + path)) {
      const child = `${path}/${name}`;
      const stats = lstatSync(from + child, { bigint: true });
      if (performance.now() > until) {
        await nextTurn();
        until = performance.now() + SLICE;
      }
      if (stats.isDirectory()) {
        makeFolder(to + child);
        await copyFolder(child);
        copyAttributes(from + child, to + child, stats);
      } else if (!linkAgain(links, stats, to + child)) {
        copyEntry(from + child, to + child, stats);
        copyAttributes(from + child, to + child, stats);
      }
    }
  };
  await copyFolder("");
  copyAttributes(from, to, lstatSync(from, { bigint: true }));
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, 0o755);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

function linkAgain(links: Map<string, string>, stats: BigIntStats, target: string): boolean {
  if (stats.nlink < 2n) return false;
  const id = `${stats.dev}:${stats.ino}`;
  const first = links.get(id);
  if (first === undefined) links.set(id, target);
  else linkSync(first, target);
  return first !== undefined;
}

function copyEntry(from: string, to: string, stats: BigIntStats): void {
  if (stats.isSymbolicLink()) symlinkSync(readlinkSync(from, { encoding: "buffer" }), to);
  else if (stats.isFile()) copyFile(from, to);
  else {
    const { major, minor } = deviceNumbers(stats.rdev);
    makeNode(to, Number(stats.mode), major, minor);
  }
}

function copyAttributes(from: string, to: string, stats: BigIntStats): void {
  lchownSync(to, Number(stats.uid), Number(stats.gid));
  if (!stats.isSymbolicLink()) chmodSync(to, Number(stats.mode & 0o7777n));
  applyXattrs(to, readXattrs(from), new Set());
  setTimes(to, stats.atimeNs, stats.mtimeNs);
}
