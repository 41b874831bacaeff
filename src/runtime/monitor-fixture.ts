/** What the tests of the monitor share: a stand-in for an OCI runtime, bundles for the real ones, and collecting. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type StartTaskOptions, startTask } from "./monitor.ts";
import type { Task } from "./runtime.ts";

const endings = new Map<string, (() => unknown)[]>();

/** A folder that goes away with the test, after what `atEnd` was told. */
export function temporaryFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "gantry-monitor-"));
  endings.set(dir, []);
  t.after(async () => {
    for (const end of endings.get(dir)?.reverse() ?? []) await end();
    endings.delete(dir);
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  });
  return dir;
}

/** Runs before the folder goes away, the last one first. */
export function atEnd(dir: string, end: () => unknown): void {
  endings.get(dir)?.push(end);
}

/**
 * Leaves a background process behind and its pid in `pid`, as `crun run --detach` does. The process begins when this shell
 * is gone, which would wait for it otherwise; and it would have /dev/null as its input without the third descriptor.
 */
const DETACH = `exec 3<&0
  setsid sh -c 'while [ -d "/proc/$0" ]; do :; done; exec sh -c "$1"' $$ "$1" <&3 3<&- &
  echo $! >pid`;

/** Runs a shell script as the task's process. What runs at the test's end is killed, and its monitor's end awaited. */
export async function startScript(script: string, options: Partial<StartTaskOptions> & { dir: string }): Promise<Task> {
  const task = await startTask({
    id: "test",
    launch: ["sh", "-c", DETACH, "fake-runtime", script],
    cleanup: ["touch", "cleaned"],
    terminal: false,
    stdin: false,
    stdinOnce: false,
    hideUnified: false,
    log: { driver: "json-file", path: join(options.dir, "log") },
    ...options,
  });
  atEnd(options.dir, () => endTask(task));
  return task;
}

/** Kills the task and waits until its monitor has cleaned up. */
export async function endTask(task: Task): Promise<void> {
  await task.kill(9).catch(() => {});
  await Promise.race([task.released, sleep(2000, undefined, { ref: false })]);
}

export async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The payloads of Docker's frames, by stream. Throws when the bytes do not end with a whole frame. */
export function unframe(bytes: Buffer): { out: Buffer; err: Buffer } {
  const parts: Record<number, Buffer[]> = { 1: [], 2: [] };
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    if (at + 8 + length > bytes.length) throw new Error("the stream ends within a frame");
    parts[bytes.readUInt8(at)]?.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return { out: Buffer.concat(parts[1] ?? []), err: Buffer.concat(parts[2] ?? []) };
}

/** The text of a json-file log, its lines put together. */
export function logText(json: string, stream?: string): string {
  return json
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { log: string; stream: string })
    .filter((entry) => stream === undefined || entry.stream === stream)
    .map(({ log }) => log)
    .join("");
}

/** Makes a bundle whose root file system is busybox; the process runs `args`. */
export function makeBundle(
  dir: string,
  args: readonly string[],
  { terminal = false, size }: { terminal?: boolean; size?: readonly [number, number] | undefined } = {},
): void {
  const rootfs = join(dir, "rootfs");
  if (!existsSync(rootfs)) {
    for (const name of ["bin", "proc", "dev"]) mkdirSync(join(rootfs, name), { recursive: true });
    copyFileSync(BUSYBOX, join(rootfs, "bin/busybox"));
    for (const name of ["sh", "true", "cat", "sleep", "stty", "tty", "grep", "ls", "kill"])
      symlinkSync("busybox", join(rootfs, "bin", name));
  }
  const config = {
    ociVersion: "1.0.0",
    process: {
      terminal,
      // Only the runtime can set it before the process looks; what the monitor does may come a moment later.
      ...(size !== undefined && { consoleSize: { height: size[0], width: size[1] } }),
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/bin"],
      cwd: "/",
    },
    root: { path: "rootfs" },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666"] },
    ],
    linux: { namespaces: ["pid", "mount", "ipc", "uts"].map((type) => ({ type })), resources: {} },
  };
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
}

export const BUSYBOX = "/usr/bin/busybox";
