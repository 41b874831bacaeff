/** What a root takes on the disk, for who counts a disk that it is a part of. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { treeUsage } from "../../kernel/trees.ts";
import { namesIn, whenThere } from "./files.ts";
import { makeLayout } from "./layout.ts";

export interface RootUsage {
  readonly repositories: number;
  /** Bytes in whole blocks, folders included, without blobs that have another name elsewhere: a store that shares them counts those. */
  readonly size: number;
}

const BLOCK = 512;

/** Undefined when there is no such folder. */
export async function rootUsage(root: string): Promise<RootUsage | undefined> {
  if ((await whenThere(stat(root))) === undefined) return undefined;
  const layout = makeLayout(root);
  const [{ allocated }, shared, repositories] = await Promise.all([
    treeUsage(root),
    sharedBytes(layout.blobs),
    namesIn(layout.repositories),
  ]);
  return { repositories: repositories.length, size: Math.max(0, allocated - shared) };
}

async function sharedBytes(folder: string): Promise<number> {
  let sum = 0;
  for (const algorithm of await namesIn(folder))
    for (const shelf of await namesIn(join(folder, algorithm))) {
      const path = join(folder, algorithm, shelf);
      const files = await Promise.all((await namesIn(path)).map((hex) => whenThere(stat(join(path, hex)))));
      for (const file of files) if (file !== undefined && file.nlink > 1) sum += file.blocks * BLOCK;
    }
  return sum;
}
