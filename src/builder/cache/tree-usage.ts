import { lstatSync, readdirSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errnoOf } from "../../base/errors.ts";

/** Bytes of the files below a folder, each once however many links it has. What goes meanwhile is left out. */
export async function treeUsage(root: string): Promise<number> {
  const seen = new Set<string>();
  const folders = [Buffer.from(root).toString("latin1")];
  let total = 0;
  let count = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const name of namesIn(folder)) {
      if (++count % 500 === 0) await nextTurn();
      const path = `${folder}/${name}`;
      const stats = lstatSync(Buffer.from(path, "latin1"), { throwIfNoEntry: false });
      if (stats === undefined) continue;
      if (stats.isDirectory()) folders.push(path);
      else if (stats.nlink === 1 || !seen.has(`${stats.ino}`)) total += stats.size;
      if (stats.nlink > 1) seen.add(`${stats.ino}`);
    }
  }
  return total;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(Buffer.from(folder, "latin1"), { encoding: "latin1" });
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw error;
  }
}
