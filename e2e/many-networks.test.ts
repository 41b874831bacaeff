/** 200 networks with a container and a published port each: all of them work, and nothing of them is left, also after kills. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeNames } from "../src/networks/names.ts";
import { processesOf, startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

const MANY = 200;
/** As many as are made once more without a kill: the kernel takes 40 ms for each bridge that goes. */
const SOME = 50;

type Counts = Readonly<Record<string, number>>;

/** Everything of this daemon's that the kernel has and that its folders hold. */
function counted(daemon: TestDaemon): Counts {
  const { alias, linkPrefix, table } = makeNames(daemon.dataRoot);
  const links = json<{ ifname: string; ifalias?: string }[]>("ip", "-j", "link").filter(
    ({ ifname, ifalias }) => ifalias === alias || ifname.startsWith(linkPrefix),
  );
  const ours = new Set(links.map(({ ifname }) => ifname));
  const addressed = json<{ ifname: string; addr_info: object[] }[]>("ip", "-j", "addr").filter(({ ifname }) =>
    ours.has(ifname),
  );
  const { nftables } = json<{ nftables: Record<string, { elem?: object[] }>[] }>(
    "nft",
    ..."-j list table inet".split(" "),
    table,
  );
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const cgroups = lines("find", "/sys/fs/cgroup", "-type", "d", "-regextype", "egrep", "-regex", ".*[0-9a-f]{64}.*");
  const folders = (root: string) => lines("find", root, "-xdev", "-type", "d").length;
  return {
    links: links.length,
    addresses: addressed.flatMap(({ addr_info }) => addr_info).length,
    rules: nftables.filter(({ rule }) => rule !== undefined).length,
    members: nftables.flatMap(({ set, map }) => (set ?? map)?.elem ?? []).length,
    namespaces: readdirSync(`${daemon.execRoot}/netns`).length,
    mounts: mounts.filter((line) => line.includes(daemon.folder)).length,
    cgroups: cgroups.filter((path) => ids.some((id) => path.includes(id))).length,
    monitors: processesOf(daemon.folder).length,
    folders: folders(`${daemon.dataRoot}/containers`) + folders(daemon.execRoot),
  };
}

/** Of all containers that were ever made. */
const ids: string[] = [];

function lines(command: string, ...args: string[]): string[] {
  return spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 }).stdout.split("\n");
}

function json<T>(command: string, ...args: string[]): T {
  return JSON.parse(lines(command, ...args).join("\n")) as T;
}

/** The counts as soon as they are the wanted ones; what they are after a while otherwise: the kernel takes away by and by. */
async function settled(daemon: TestDaemon, wanted: Counts): Promise<Counts> {
  for (let tries = 0; ; tries++) {
    const counts = counted(daemon);
    if (tries === 60 || JSON.stringify(counts) === JSON.stringify(wanted)) return counts;
    await sleep(250);
  }
}

/** Counts that stay the same for a second. */
async function steady(daemon: TestDaemon): Promise<Counts> {
  for (let last = counted(daemon), same = 0; ; ) {
    await sleep(250);
    const counts = counted(daemon);
    same = JSON.stringify(counts) === JSON.stringify(last) ? same + 1 : 0;
    if (same === 4) return counts;
    last = counts;
  }
}

async function start(daemon: TestDaemon, network: string): Promise<string> {
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["httpd", "-f", "-p", "80"],
    HostConfig: { NetworkMode: network, PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1" }] } },
  });
  ids.push(Id);
  await daemon.call("POST", `/containers/${Id}/start`);
  return Id;
}

async function makeAll(daemon: TestDaemon, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `net${index}`);
  await Promise.all(
    names.map((Name, index) => daemon.call("POST", "/networks/create", { Name, EnableIPv6: index % 4 === 0 })),
  );
  await Promise.all(names.map((name) => start(daemon, name)));
}

interface Listed {
  readonly Id: string;
  readonly Ports: readonly { PublicPort?: number }[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { IPAddress: string }>> };
}

const list = (daemon: TestDaemon) => daemon.call<Listed[]>("GET", "/containers/json?all=1");

/** What there is of each container with its network, at least. */
const EACH = { links: 2, addresses: 1, namespaces: 1, mounts: 2, members: 2, monitors: 1, cgroups: 1 };

/** Each container has an address and a port of its own, and answers there. */
async function assertAllAnswer(daemon: TestDaemon, count: number): Promise<void> {
  const all = await list(daemon);
  const addresses = all.flatMap(({ NetworkSettings: { Networks } }) =>
    Object.values(Networks).map((one) => one.IPAddress),
  );
  const ports = all.flatMap(({ Ports }) => Ports.flatMap(({ PublicPort }) => PublicPort ?? []));
  assert.deepEqual([all.length, new Set(addresses).size, new Set(ports).size], [count, count, count]);
  assert.deepEqual(new Set(await Promise.all(ports.map(statusOf))), new Set([404]));
}

/** As soon as the server in the container is there. */
async function statusOf(port: number): Promise<number | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      return await askOnce(port);
    } catch (error) {
      if (tries === 40) throw error;
      await sleep(250);
    }
  }
}

function askOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, agent: false, timeout: 20_000 }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on("error", reject);
    sent.on("timeout", () => sent.destroy(new Error(`port ${port} is silent`)));
    sent.end();
  });
}

async function removeAll(daemon: TestDaemon): Promise<void> {
  const all = await list(daemon);
  await Promise.all(all.map(({ Id }) => daemon.call("DELETE", `/containers/${Id}?force=1`)));
  await daemon.call("POST", "/networks/prune", {});
}

const skip = process.getuid?.() === 0 ? false : "needs root";

test("200 networks and 200 containers at once work, and leave nothing, also when gantryd is killed between and meanwhile", {
  skip,
  timeout: 400_000,
}, async () => {
  await using daemon = await startDaemon();
  // The first one makes the pool of ready namespaces.
  await daemon.call("DELETE", `/containers/${await start(daemon, "bridge")}?force=1`);
  const before = await steady(daemon);

  await makeAll(daemon, SOME);
  await assertAllAnswer(daemon, SOME);
  await removeAll(daemon);
  assert.deepEqual(await settled(daemon, before), before);

  await makeAll(daemon, MANY);
  const during = counted(daemon);
  for (const [key, least] of Object.entries(EACH))
    assert.ok((during[key] ?? 0) >= least * MANY, `${key}: ${during[key]}`);
  assert.equal(during.rules, before.rules, "a network more is a member more, no rule");
  await daemon.kill("SIGKILL");
  await daemon.start();
  await assertAllAnswer(daemon, MANY);
  const removing = removeAll(daemon).catch(() => {});
  while ((await list(daemon).catch(() => [])).length > MANY / 2) await sleep(20);
  await daemon.kill("SIGKILL");
  await removing;
  await daemon.start();
  await removeAll(daemon);
  assert.deepEqual(await settled(daemon, before), before);
});
