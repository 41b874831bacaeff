/** What the storage does with files: whole ones appear by a rename, and last when the folder is synced. */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errnoOf } from "../../base/errors.ts";

const MISSING = new Set(["ENOENT", "ENOTDIR"]);

/** Undefined when it is not there. */
export async function whenThere<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (MISSING.has(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await whenThere(stat(path))) !== undefined;
}

/** Names in a folder; empty when there is none. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await whenThere(readdir(folder))) ?? [];
}

/** Undefined when there is no such file. */
export function readText(path: string): Promise<string | undefined> {
  return whenThere(readFile(path, "utf8"));
}

/** Undefined when there is no such file. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

/** Post-condition: the file has this content, now and after a crash; readers saw the old or the new one. `tmp`: a folder of the same file system. */
export async function writeDurable(path: string, data: string | Uint8Array, tmp: string, mode = 0o644): Promise<void> {
  const temporary = join(tmp, randomUUID());
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(data);
      await file.datasync();
    } finally {
      await file.close();
    }
    await renameInto(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes the target's folder when it is missing. */
export async function renameInto(from: string, to: string): Promise<void> {
  await inFolder(to, () => rename(from, to));
}

/** A second name of the same bytes. Post-condition: `to` is there; one that was there is kept. */
export async function linkInto(from: string, to: string): Promise<void> {
  await inFolder(to, () => unlessThere(link(from, to)));
}

/** Post-condition: an empty file is there. True when it is new. */
export async function touchInto(path: string): Promise<boolean> {
  const make = async () => {
    await (await open(path, "wx", 0o644)).close();
    return true;
  };
  return (await inFolder(path, () => unlessThere(make()))) === true;
}

/** True when it was there. */
export async function removeDurable(path: string): Promise<boolean> {
  const removed = await whenThere(unlink(path).then(() => true));
  if (removed === true) await syncFolder(dirname(path));
  return removed === true;
}

/** A change of a folder's entries lasts only when the folder is on the disk too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await whenThere(open(path, "r"));
  if (folder === undefined) return;
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A collection may take an empty folder away just as it is needed. */
const TRIES = 5;

async function inFolder<T>(path: string, act: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await act();
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" || left === 0) throw error;
      await mkdir(dirname(path), { recursive: true });
    }
  }
}

async function unlessThere<T>(making: Promise<T>): Promise<T | undefined> {
  try {
    return await making;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return undefined;
    throw error;
  }
}
