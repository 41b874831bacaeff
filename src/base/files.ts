import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "./errors.ts";

/**
 * Replaces a file's whole content. After it returns readers see the old or the new content, never a mixture; with
 * `sync` the content is on the disk before the name points to it. The temporary file is removed on failure.
 */
export function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  { mode = 0o644, sync = false }: { mode?: number; sync?: boolean } = {},
): void {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const fd = openSync(temporary, "wx", mode);
    try {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      if (sync) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** A folder with files and empty folders, never through a mount: what has more in it is an error, and stays. Idempotent. */
export function removeFlatFolder(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) rmdirSync(path);
      else rmSync(path, { force: true });
    }
    rmdirSync(folder);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
