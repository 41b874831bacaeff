import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { readKnob, writeKnob } from "./cgroup-files.ts";

/** Where the processes of the root go; the name that others use for it as well. */
const LEAF = "init";
/** More are forked while they are moved. */
const ROUNDS = 20;

/**
 * Lets groups of the tree have the controllers that there are. Inside a container the tree's root is a group as any other: as long
 * as processes are in it, no group below can be limited (cgroup-v2.rst, "No Internal Process Constraint"), so they are moved to a
 * group of their own. The machine's own root knows no such rule, and the runtimes enable there what they need. Idempotent; throws
 * EBUSY when processes cannot be moved: those that cannot be seen from here.
 */
export function delegateControllers(root: string): void {
  if (!existsSync(join(root, "cgroup.type"))) return;
  const names = (file: string) => readKnob(root, file).trim().split(" ").filter(Boolean);
  const enabled = new Set(names("cgroup.subtree_control"));
  const missing = names("cgroup.controllers").filter((name) => !enabled.has(name));
  if (missing.length === 0) return;
  // Before the first one: those that the kernel enables in spite of processes would make the whole tree one of threads.
  evacuate(root);
  for (const name of missing) writeKnob(root, "cgroup.subtree_control", `+${name}`);
}

function evacuate(root: string): void {
  mkdirSync(join(root, LEAF), { recursive: true });
  for (let round = 0; round < ROUNDS; round++) {
    const pids = readKnob(root, "cgroup.procs").split("\n").filter(Boolean);
    if (pids.length === 0) return;
    for (const pid of pids) move(pid, join(root, LEAF));
  }
}

function move(pid: string, folder: string): void {
  try {
    writeKnob(folder, "cgroup.procs", pid);
  } catch {
    // It ended, or it is of another pid namespace ("0"): the kernel says EBUSY then.
  }
}
