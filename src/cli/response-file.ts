/** A big answer into a file, which is there only when it is whole, or to standard output. */
import { closeSync, lstatSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isatty } from "node:tty";
import type { Response } from "../client/http.ts";
import type { Context } from "./context.ts";
import { fileOutput } from "./output.ts";

type Task = "save image" | "export container" | "export volume";

/** `ask` is called after it is known that there is where to write. */
export async function writeResponse(
  context: Context,
  path: string,
  task: Task,
  ask: () => Promise<Response>,
): Promise<void> {
  if (path === "") {
    if (isatty(1))
      throw new Error(`cowardly refusing to ${task.split(" ")[0]} to a terminal. Use the -o flag or redirect`);
    for await (const bytes of (await ask()).body) context.out.write(bytes);
    return;
  }
  checkPlace(path, task);
  const response = await ask();
  const target = isSpecial(path) ? path : `${path}.tmp-${process.pid}`;
  const fd = openSync(target, "w", 0o600);
  try {
    const file = fileOutput(fd);
    for await (const bytes of response.body) file.write(bytes);
    if (target !== path) renameSync(target, path);
  } catch (error) {
    if (target !== path) rmSync(target, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function checkPlace(path: string, task: Task): void {
  const folder = dirname(path);
  try {
    statSync(folder);
  } catch (error) {
    throw new Error(`failed to ${task}: invalid output path: stat ${folder}: no such file or directory`, {
      cause: error,
    });
  }
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`failed to ${task}: cannot write to a directory`);
}

/** A device or pipe is written as it is. */
function isSpecial(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && !stat.isFile();
}
