/**
 * Many networks with a container each, counted before, meanwhile, after their removal and after a kill; and how long names are not served
 * when gantryd is killed. Argument: how many (200).
 */
import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { killProcess, pipe, spawn } from "../src/kernel/spawn.ts";
import { makeWorld, type World } from "../src/networks/networks.fixture.ts";
import { type Counts, countsOf, killMaker, makeMany, removeMany } from "../src/networks/scale.fixture.ts";
import { startDaemon } from "../src/testing/daemon.ts";
import { type Figure, median, printFigures, timeEach } from "./lib/table.ts";

const COUNT = Number(process.argv[2] ?? 200);
const KILLS = 5;
const CONTAINERS = 20;

/** Asks 127.0.0.11 for a name all the time, a new question every 5 ms, and prints the milliseconds since 1970 of each answer. */
const ASKER = `
const dns = require("node:dgram").createSocket("udp4");
const query = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 99, 49, 0, 0, 1, 0, 1]);
let id = 0;
dns.on("message", (answer) => { if (answer.readUInt16BE(6) === 1) console.log(Date.now()); });
dns.on("error", () => {});
setInterval(() => { query.writeUInt16BE(id = (id + 1) & 0xffff); dns.send(query, 53, "127.0.0.11", () => {}); }, 5);`;

async function main(): Promise<void> {
  const figures = [...(await scale()), ...(await restart())];
  printFigures(figures);
}

async function scale(): Promise<Figure[]> {
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  await world.networks.dispose();
  const before = await countsOf(world);
  await world.next();
  let ids: string[] = [];
  const once = async (work: () => Promise<unknown>) => (await timeEach(1, work, 0))[0] ?? Number.NaN;
  const made = await once(async () => {
    ids = await makeMany(world.networks, COUNT);
  });
  const during = await countsOf(world);
  const another = await timeEach(
    5,
    async (index) => void (await world.networks.create({ Name: `many-more-${index}` })),
    0,
  );
  const removed = await once(async () => {
    await Promise.all(ids.map((id) => world.networks.close(id)));
    await removeMany(world.networks);
  });
  await world.networks.dispose();
  const after = await settled(world, before);
  assert.deepEqual(after, before);
  await killMaker(world, COUNT);
  const left = await countsOf(world);
  await world.next();
  const restored = await once(async () => {
    await world.networks.restore(new Set());
    await removeMany(world.networks);
  });
  await world.networks.dispose();
  const afterKill = await settled(world, before);
  assert.deepEqual(afterKill, before);
  const row = ({ rows, ...kernel }: Counts) => ({ ...rows, ...kernel });
  console.table({
    before: row(before),
    [`${COUNT} networks`]: row(during),
    removed: row(after),
    killed: row(left),
    "removed by the next": row(afterKill),
  });
  return [
    { what: `a network and a container, each of ${COUNT}`, value: made / COUNT, unit: "ms" },
    { what: "one network more", value: median(another), unit: "ms" },
    { what: "their removal, each", value: removed / COUNT, unit: "ms" },
    { what: "their removal after a kill, each", value: restored / COUNT, unit: "ms" },
  ];
}

async function settled(world: World, wanted: Counts): Promise<Counts> {
  for (let tries = 0; ; tries++) {
    const counts = await countsOf(world);
    if (tries === 600 || JSON.stringify(counts) === JSON.stringify(wanted)) return counts;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** From the kill to the first answer; gantryd's own start is a part of it, and told beside it. */
async function restart(): Promise<Figure[]> {
  await using daemon = await startDaemon();
  await daemon.call("POST", "/networks/create", { Name: "app" });
  const names = Array.from({ length: CONTAINERS }, (_, index) => `c${index}`);
  for (const name of names) {
    const HostConfig = { NetworkMode: "app" };
    await daemon.call("POST", `/containers/create?name=${name}`, {
      Image: "busybox",
      Cmd: ["sleep", "1000"],
      HostConfig,
    });
    await daemon.call("POST", `/containers/${name}/start`);
  }
  const { State } = await daemon.call<{ State: { Pid: number } }>("GET", "/containers/c0/json");
  const [read, write] = pipe();
  const args = [`--net=/proc/${State.Pid}/ns/net`, "--", process.execPath, "-e", ASKER];
  const child = spawn({ file: "nsenter", args, stdio: ["null", write, 2] });
  closeSync(write);
  const answers: number[] = [];
  const output = new Socket({ fd: read, readable: true, writable: false });
  output.on("data", (chunk: Buffer) => answers.push(...chunk.toString().trim().split("\n").map(Number)));
  const silences: number[] = [];
  const starts: number[] = [];
  try {
    for (let round = 0; round < KILLS; round++) {
      while (answers.length === 0 || Date.now() - (answers.at(-1) ?? 0) > 50) await pause(20);
      await daemon.kill();
      const killed = Date.now();
      answers.length = 0;
      const [start = Number.NaN] = await timeEach(1, () => daemon.start(), 0);
      starts.push(start);
      while (answers.every((at) => at < killed)) await pause(5);
      silences.push((answers.find((at) => at >= killed) ?? 0) - killed);
    }
  } finally {
    killProcess(child.pid, 9);
    output.destroy();
  }
  return [
    {
      what: `names of ${CONTAINERS} containers, from the kill to the first answer`,
      value: median(silences),
      unit: "ms",
    },
    { what: "the same, the slowest", value: Math.max(...silences), unit: "ms", most: 1000 },
    { what: "gantryd's start until its API answers", value: median(starts), unit: "ms" },
  ];
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

await main();
