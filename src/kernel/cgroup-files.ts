/** Reading and writing the small files of a control group. */
import { closeSync, openSync, readdirSync, readFileSync, rmdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../base/errors.ts";
import { killProcess } from "./spawn.ts";

/** A group's folder. Never the root's: nothing here may be done to everything. */
export function groupFolder(root: string, path: string): string {
  const folder = join(root, path);
  if (!folder.startsWith(`${root}/`) || folder.length <= root.length + 1)
    throw new Error(`No control group of its own: ${path}`);
  return folder;
}

/** Empty when the file or the group is not there (any more). */
export function readKnob(folder: string | undefined, file: string): string {
  if (folder === undefined) return "";
  try {
    return readFileSync(join(folder, file), "utf8");
  } catch (error) {
    if (GONE.has(errnoOf(error) ?? "")) return "";
    throw error;
  }
}

/** ENODEV: the group went while its file was open. ENOTSUP: the kernel does not count this here, as processes of a threaded group. */
const GONE = new Set(["ENOENT", "ENODEV", "ENOTDIR", "ENOTSUP"]);

/** A number, or undefined for "max", nothing, or no file. */
export function readNumber(folder: string | undefined, file: string): number | undefined {
  const text = readKnob(folder, file).trim();
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** "name value" per line. */
export function readTable(folder: string | undefined, file: string): Record<string, number> {
  const table: Record<string, number> = {};
  for (const line of readKnob(folder, file).split("\n")) {
    const [name, value] = line.split(" ");
    if (name && value !== undefined && /^\d+$/.test(value)) table[name] = Number(value);
  }
  return table;
}

/** One write(2), never creating the file. */
export function writeKnob(folder: string, file: string, value: string | number): void {
  const fd = openSync(join(folder, file), "r+");
  try {
    writeSync(fd, String(value));
  } finally {
    closeSync(fd);
  }
}

/** Pids in the group and in those below. */
export function readPids(folder: string): number[] {
  const own = readKnob(folder, "cgroup.procs").split("\n").filter(Boolean).map(Number);
  return subgroups(folder).reduce((pids, child) => pids.concat(readPids(child)), own);
}

export function subgroups(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name));
  } catch (error) {
    if (GONE.has(errnoOf(error) ?? "")) return [];
    throw error;
  }
}

/** Removes a group from its leaves up. False when one is busy. */
export function removeGroup(folder: string): boolean {
  const emptied = subgroups(folder).every(removeGroup);
  if (!emptied) return false;
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    const code = errnoOf(error) ?? "";
    if (code === "ENOENT") return true;
    if (code === "EBUSY" || code === "ENOTEMPTY") return false;
    throw error;
  }
}

/** Sends SIGKILL until a look finds nobody new: a fork between look and kill is found by the next. */
export function killGroup(folder: string): void {
  const killed = new Set<number>();
  for (;;) {
    const fresh = readPids(folder).filter((pid) => !killed.has(pid));
    if (fresh.length === 0) return;
    for (const pid of fresh) {
      killed.add(pid);
      signalIgnoringGone(pid);
    }
  }
}

const SIGKILL = 9;

function signalIgnoringGone(pid: number): void {
  try {
    killProcess(pid, SIGKILL);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

const FREEZE_TIMEOUT = 10_000;

/** Asks again until `reached`; the kernel freezes in well under a millisecond unless a task sits in the kernel. Undoes on time-out. */
export async function settle(reached: () => boolean, undo: () => void): Promise<void> {
  const deadline = performance.now() + FREEZE_TIMEOUT;
  for (let pause = 0; !reached(); pause = Math.min(20, pause + 1)) {
    if (performance.now() > deadline) {
      undo();
      throw new Error("the container could not be frozen: a process does not stop");
    }
    await new Promise((resolve) => (pause < 3 ? setImmediate(resolve) : setTimeout(resolve, pause)));
  }
}
