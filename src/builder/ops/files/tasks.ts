import type { BuiltTree } from "../../../snapshots/layer-builder.ts";
import { type CopyTask, copyFiles } from "./copy-files.ts";
import { type DigestTask, digestSelection, type SelectionDigest } from "./digest.ts";

/** Work with many files: done here in slices, or in a worker. */
export type FileTask = DigestTask | CopyTask;
export type ResultOf<Task extends FileTask> = Task extends DigestTask ? SelectionDigest : BuiltTree;

export function runFileTask<Task extends FileTask>(task: Task): Promise<ResultOf<Task>> {
  return (task.kind === "digest" ? digestSelection(task) : copyFiles(task)) as Promise<ResultOf<Task>>;
}
