import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { errnoOf } from "./errors.ts";

/**
 * Post-condition: `path` is a folder; those above it that were missing have been made with `mode` too. Throws the system's error.
 *
 * For paths that users name: mkdir with `recursive` never returns where a folder is there and refuses new ones with ENOENT, as /proc does
 * (Node.js 26 makes the folder above again and again).
 */
export function makeFolders(path: string, mode = 0o777): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const folder of missing.length === 0 ? [path] : missing) makeOne(folder, mode);
}

function makeOne(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    const there = errnoOf(error) === "EEXIST" && statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!there) throw error;
  }
}
