/**
 * Moving a process into another control group takes a lock that every fork and exit passes; its writer waits for a grace period of
 * RCU, 8 ms here, unless another one wrote within the last 16 ms or so. The OCI runtime does that in the middle of each start.
 * Taking the lock ourselves a moment earlier, on a thread, lets that wait go on beside the preparations. From `start` to the exit of
 * `true`, starts 45 ms apart on a busy 2-core machine, medians: 29 ms without it, 19 from the begin of the start on, 17 from 6 ms
 * before. (Starts that follow each other closely are quick anyway.)
 */
import { openSync, readFileSync, write } from "node:fs";
import { join } from "node:path";

/** The lock stays quick for longer than this after it was taken. */
const FRESH_MS = 8;

/**
 * A function that takes the lock soon, without waiting: it writes this process into the very group where it is, which changes
 * nothing. `hierarchy`: the root folder of the tree, or on v1 of a controller; `controller`: its name, "" on v2.
 */
export function cgroupWarmer(hierarchy: string, controller: string): () => void {
  let fd: number | undefined;
  let busy = false;
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    if (busy || performance.now() - last < FRESH_MS) return;
    try {
      fd ??= openSync(join(hierarchy, ownGroup(controller), "cgroup.procs"), "r+");
    } catch {
      // Only a speed-up: a tree that we may not write is no error.
      last = Number.POSITIVE_INFINITY;
      return;
    }
    busy = true;
    write(fd, `${process.pid}`, () => {
      busy = false;
      last = performance.now();
    });
  };
}

/** From /proc/self/cgroup's "number:controllers:path" lines. */
function ownGroup(controller: string): string {
  for (const line of readFileSync("/proc/self/cgroup", "utf8").split("\n")) {
    const [, controllers = "", ...path] = line.split(":");
    if (path.length > 0 && controllers.split(",").includes(controller)) return path.join(":");
  }
  throw new Error(`not in a control group of ${controller || "version 2"}`);
}
