/** Many networks with a container each: made, counted; and made in a process that is then killed (arguments: data root, exec root, how many). */
import { closeSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { listTable } from "../kernel/nftables.ts";
import { killProcess, pipe, spawn } from "../kernel/spawn.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { makeNames } from "./names.ts";
import { kernelOf, requestFor, startNetworks, type World } from "./networks.fixture.ts";
import type { Networks } from "./networks.ts";

/** Answers the containers' ids. Each network has IPv6 too, and each container a published port. */
export async function makeMany(networks: Networks, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  await Promise.all(names.map((Name) => networks.create({ Name, EnableIPv6: true })));
  const requests = names.map((primary) => requestFor(primary, { primary, portBindings: { "80/tcp": [{}] } }));
  await Promise.all(requests.map((request) => networks.open(request)));
  return requests.map(({ containerId }) => containerId);
}

export async function removeMany(networks: Networks): Promise<void> {
  const names = networks.list().flatMap(({ Name }) => (Name.startsWith("many-") ? [Name] : []));
  await Promise.all(names.map((name) => networks.remove(name)));
}

export interface Counts {
  readonly rows: Readonly<Record<string, number>>;
  readonly devices: number;
  readonly namespaces: number;
  readonly mounts: number;
  /** Of the firewall's sets and maps. */
  readonly members: number;
  readonly rules: number;
}

/** Everything of the world's that there is in the database and in the kernel; without namespaces kept ready. */
export async function countsOf(world: World): Promise<Counts> {
  const tables = ["networks", "sandboxes", "endpoints", "addresses", "ports", "opened"];
  const rowsOf = (table: string) => world.store.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)?.n ?? 0;
  const { links, namespaces } = await kernelOf(world);
  const objects = (await listTable("inet", makeNames(world.paths.dataRoot).table)) ?? [];
  const membersOf = (kind: "set" | "map") =>
    objects.reduce((sum, object) => sum + ((object[kind] as { elem?: unknown[] } | undefined)?.elem?.length ?? 0), 0);
  const mounted = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return {
    rows: Object.fromEntries(tables.map((table) => [table, rowsOf(table)])),
    devices: links.length,
    namespaces,
    mounts: mounted.filter((line) => line.includes(world.paths.netnsFolder)).length,
    members: membersOf("set") + membersOf("map"),
    rules: objects.filter(({ rule }) => rule !== undefined).length,
  };
}

/** Lets another process make as many on the world's root, and kills it. */
export async function killMaker({ paths }: World, count: number): Promise<void> {
  const [read, write] = pipe();
  const args = [import.meta.filename, paths.dataRoot, paths.execRoot, String(count)];
  const child = spawn({ file: process.execPath, args, stdio: ["null", write, 2] });
  closeSync(write);
  for await (const chunk of new Socket({ fd: read, readable: true, writable: false }) as AsyncIterable<Buffer>)
    if (chunk.includes("ready")) break;
  killProcess(child.pid, 9);
  await child.exited;
}

if (import.meta.main) {
  const [, , dataRoot = "", execRoot = "", count = ""] = process.argv;
  const networks = await startNetworks({ store: openStore(makePaths(dataRoot, execRoot)) });
  await makeMany(networks, Number(count));
  console.log("ready");
  setInterval(() => {}, 1000);
}
