/** Whole trees, on the thread pool: a walk in JavaScript costs five times as much, and the event loop waits for it. */
import { native } from "./native.ts";

export interface TreeUsage {
  /** Lengths of files and links, each once however many names it has. */
  readonly bytes: number;
  /** What is taken on the disk, folders included: what du says. Bytes. */
  readonly allocated: number;
  readonly entries: number;
}

/** What lies in a folder, on its own file system. What goes away meanwhile, or lies more than 512 folders deep, is not counted. Rejects when it cannot be opened. */
export async function treeUsage(path: string): Promise<TreeUsage> {
  const [bytes, allocated, entries] = await native.countTree(path);
  return { bytes, allocated, entries };
}

/** Post-condition: nothing is there. No link is followed. Rejects with the first error, when as much as possible is gone. */
export async function removeTree(path: string): Promise<void> {
  await native.removeTree(path);
}

/** Post-condition: what was written before to the file system that has this path is on the disk (syncfs(2)). */
export async function syncFileSystem(path: string): Promise<void> {
  await native.syncFileSystem(path);
}
