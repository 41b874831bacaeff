/** What a daemon's process holds. */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { proportionalMemory, type TestDaemon } from "../../src/testing/daemon.ts";

export interface Holdings {
  readonly descriptors: number;
  /** KiB, proportional. */
  readonly memory: number;
  readonly children: number;
  readonly listeners: number;
}

/** When it has come to rest: nothing changes for half a second, or after `patience` milliseconds. */
export async function holdings(daemon: TestDaemon, patience = 10_000): Promise<Holdings> {
  let before = await look(daemon);
  for (const end = Date.now() + patience; Date.now() < end; ) {
    await sleep(500);
    const now = await look(daemon);
    if (
      now.descriptors === before.descriptors &&
      now.children === before.children &&
      now.listeners === before.listeners
    )
      return now;
    before = now;
  }
  return before;
}

async function look(daemon: TestDaemon): Promise<Holdings> {
  const { NEventsListener } = await daemon.call<{ NEventsListener: number }>("GET", "/info");
  return {
    descriptors: readdirSync(`/proc/${daemon.pid}/fd`).length,
    memory: proportionalMemory(daemon.pid),
    children: readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8")
      .trim()
      .split(/\s+/)
      .filter(Boolean).length,
    listeners: NEventsListener,
  };
}

/** KiB of the JavaScript heap that are in use after a collection of garbage: what the daemon's own diagnostics say. Fails after a minute without them. */
export async function heldHeap(daemon: TestDaemon): Promise<number> {
  const reports = () =>
    readdirSync(daemon.execRoot).filter((name) => name.startsWith("diagnostics-") && name.endsWith(".json"));
  const before = new Set(reports());
  process.kill(daemon.pid, "SIGUSR1");
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    await sleep(50);
    const name = reports().find((report) => !before.has(report));
    if (name === undefined) continue;
    const path = join(daemon.execRoot, name);
    const { javascriptHeap } = JSON.parse(readFileSync(path, "utf8")) as { javascriptHeap: { usedMemory: number } };
    rmSync(path);
    return Math.round(javascriptHeap.usedMemory / 1024);
  }
  throw new Error("the daemon wrote no diagnostics within a minute");
}
