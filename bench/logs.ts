/** Logging: a container that writes 200 MB of lines, reading it back, and the last ten lines. */

import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { median, printFigures, timeEach } from "./lib/table.ts";

const run = promisify(execFile);
const MEGABYTES = 200;
const LINE = "x".repeat(99);

async function main(): Promise<void> {
  await using daemon = await startDaemon({ flags: ["--log-opt", "max-size=-1"] });
  // A file of lines made first, so that the container only copies: what is measured is the way into the log.
  const source = `yes ${LINE} | head -c ${MEGABYTES << 20} > /tmp/lines`;
  const prepared = await create(daemon, ["sh", "-c", `${source}; cat /tmp/lines > /tmp/warm; sleep 300`]);
  await daemon.call("POST", `/containers/${prepared}/start`);
  const logging = await create(daemon, [
    "sh",
    "-c",
    `${source}; cat /proc/uptime > /tmp/t0; cat /tmp/lines; cat /proc/uptime > /tmp/t1; cat /tmp/lines > /tmp/copy; cat /proc/uptime > /tmp/t2; sleep 300`,
  ]);
  const start = performance.now();
  await daemon.call("POST", `/containers/${logging}/start`);
  const [t0, t1, t2] = await stamps(daemon, logging);
  console.log(`(container ran ${((performance.now() - start) / 1000).toFixed(1)} s)`);
  const read = await timeEach(5, () => drain(daemon, `/containers/${logging}/logs?stdout=1&stderr=1`), 1);
  const tail = await timeEach(20, () => drain(daemon, `/containers/${logging}/logs?stdout=1&tail=10`), 2);
  printFigures([
    {
      what: "into the log",
      value: MEGABYTES / (t1 - t0),
      unit: "MiB/s",
      floor: { what: "the same into a file", value: MEGABYTES / (t2 - t1) },
      least: 0.5,
    },
    { what: "into the log", value: MEGABYTES / (t1 - t0), unit: "MiB/s", least: 400 },
    { what: "read back by logs", value: (MEGABYTES * 1000) / median(read), unit: "MiB/s", least: 400 },
    { what: "logs --tail 10", value: median(tail), unit: "ms", most: 20 },
  ]);
  rmSync(join(daemon.dataRoot, "containers"), { recursive: true, force: true });
}

async function create(daemon: TestDaemon, command: readonly string[]): Promise<string> {
  const request = { Image: "busybox", Cmd: command, HostConfig: { NetworkMode: "none", Tmpfs: { "/tmp": "size=1g" } } };
  return (await daemon.call<{ Id: string }>("POST", "/containers/create", request)).Id;
}

/** The three times in seconds that the container noted, once it has. */
async function stamps(daemon: TestDaemon, id: string): Promise<[number, number, number]> {
  for (;;) {
    const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, {
      Cmd: ["sh", "-c", "cat /tmp/t0 /tmp/t1 /tmp/t2 2>/dev/null"],
      AttachStdout: true,
      Tty: true,
    });
    const response = await daemon.open("POST", `/exec/${Id}/start`, { Detach: false, Tty: true });
    const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
    // Each line of /proc/uptime: seconds up, seconds idle.
    const numbers = text.split("\n").flatMap((line) => (/^[\d.]+ /.test(line) ? [Number(line.split(" ")[0])] : []));
    const [t0, t1, t2] = numbers;
    if (t0 !== undefined && t1 !== undefined && t2 !== undefined) return [t0, t1, t2];
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** With curl: a client in this process would be slower than what is measured. */
async function drain(daemon: TestDaemon, path: string): Promise<void> {
  const socket = daemon.host.replace("unix://", "");
  await run("curl", [
    "--fail",
    "--silent",
    "--output",
    "/dev/null",
    "--unix-socket",
    socket,
    `http://localhost${path}`,
  ]);
}

await main();
