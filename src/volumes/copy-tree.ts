/** Copies of file trees that keep everything: owners, modes, times, links, devices, extended attributes, holes. */
import { chmodSync, lchownSync, linkSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../base/errors.ts";
import { copyFile } from "../kernel/copy.ts";
import { deviceNumbers, makeNode, setTimes } from "../kernel/nodes.ts";
import { getXattr, listXattrs, setXattr } from "../kernel/xattrs.ts";

type Stats = ReturnType<typeof statOf>;
const statOf = (path: string) => lstatSync(path, { bigint: true });

/** Entries between two pauses for the rest of the process. */
const BREATH = 64;

/**
 * Copies what `from` holds, and its own attributes, into the existing folder `to`. Neither may change meanwhile, nor be reached by
 * others: an image's layer and a fresh folder.
 */
export async function copyTree(from: string, to: string): Promise<void> {
  const links = new Map<string, string>();
  let count = 0;
  const folder = async (source: string, target: string): Promise<void> => {
    for (const name of readdirSync(source)) {
      const [here, there] = [join(source, name), join(target, name)];
      const stat = statOf(here);
      if (stat.isDirectory()) {
        mkdirSync(there, { mode: 0o700 });
        await folder(here, there);
      } else copyEntry(here, there, stat, links);
      if (++count % BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    copyAttributes(source, target, statOf(source));
  };
  await folder(from, to);
}

function copyEntry(source: string, target: string, stat: Stats, links: Map<string, string>): void {
  const key = `${stat.dev}:${stat.ino}`;
  const first = stat.nlink > 1n ? links.get(key) : undefined;
  if (first !== undefined) {
    linkSync(first, target);
    return;
  }
  links.set(key, target);
  if (stat.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
  else if (stat.isFile()) copyFile(source, target);
  else {
    const { major, minor } = deviceNumbers(stat.rdev);
    makeNode(target, Number(stat.mode), major, minor);
  }
  copyAttributes(source, target, stat);
}

/** Owner first: changing it takes setuid bits and capabilities away. */
function copyAttributes(source: string, target: string, stat: Stats): void {
  lchownSync(target, Number(stat.uid), Number(stat.gid));
  if (!stat.isSymbolicLink()) chmodSync(target, Number(stat.mode) & 0o7777);
  for (const name of listXattrs(source)) if (!OVERLAY.test(name)) copyXattr(source, target, name);
  setTimes(target, stat.atimeNs, stat.mtimeNs);
}

/** Overlay's own notes, which mean nothing elsewhere. */
const OVERLAY = /^(?:trusted|user)\.overlay\./;
/** Not every file system takes every attribute; a tmpfs or nfs volume does without. */
const REFUSED = new Set(["ENOTSUP", "EOPNOTSUPP", "EPERM", "EINVAL"]);

function copyXattr(source: string, target: string, name: string): void {
  const value = getXattr(source, name);
  try {
    if (value !== undefined) setXattr(target, name, value);
  } catch (error) {
    if (!REFUSED.has(errnoOf(error) ?? "")) throw error;
  }
}
