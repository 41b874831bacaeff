/**
 * 200 networks, each with a container that publishes a port, through the API: made at once and removed, then once more with a
 * kill -9 of gantryd between. What the kernel has is counted before, with all of them, and after. Argument: how many.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

const many = Number(process.argv[2] ?? 200);

/** Lines of the rules that stand for a bridge, a container, or a port; mounts count the namespaces and root file systems. */
function counted(daemon: TestDaemon) {
  const lines = (command: string, ...args: string[]) =>
    spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 }).stdout.split("\n");
  return {
    links: readdirSync("/sys/class/net").length,
    addresses: lines("ip", "-o", "addr").length,
    mounts: readFileSync("/proc/self/mountinfo", "utf8").split("\n").length,
    namespaces: readdirSync(`${daemon.execRoot}/netns`).length,
    rules: lines("nft", "-a", "list", "ruleset").length,
  };
}

async function container(daemon: TestDaemon, network: string): Promise<string> {
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    ExposedPorts: { "80/tcp": {} },
    HostConfig: { NetworkMode: network, PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1" }] } },
  });
  await daemon.call("POST", `/containers/${Id}/start`);
  return `/containers/${Id}`;
}

await using daemon = await startDaemon();
// The first one makes the pool of ready namespaces.
await daemon.call("DELETE", `${await container(daemon, "bridge")}?force=1`);
await sleep(3000);
const rows: Record<string, object> = { before: counted(daemon) };
for (const kill of [false, true]) {
  const label = kill ? "with kill -9" : "in peace";
  const names = Array.from({ length: many }, (_, index) => `net${index}`);
  await Promise.all(names.map((Name) => daemon.call("POST", "/networks/create", { Name })));
  const made = await Promise.all(names.map((name) => container(daemon, name)));
  rows[`${many} of each, ${label}`] = counted(daemon);
  if (kill) {
    await daemon.kill("SIGKILL");
    await daemon.start();
  }
  await Promise.all(made.map((path) => daemon.call("DELETE", `${path}?force=1`)));
  await daemon.call("POST", "/networks/prune", {});
  await sleep(3000);
  rows[`removed, ${label}`] = counted(daemon);
}
console.table(rows);
