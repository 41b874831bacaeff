/**
 * kill -9 of gantryd at random moments while volumes are filled, copied, put back, brought in, sent out and removed: after the next
 * start each holds all of the old or all of the new, and nothing lies beside them.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountTable } from "../src/kernel/mounts.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli } from "./lib/cli.ts";

/** More for a soak. */
const ROUNDS = Number(process.env.GANTRY_CRASH_ROUNDS ?? 6);
const FILES = 200;

test("volumes are whole after a kill at any moment", { timeout: 120_000 + ROUNDS * 20_000 }, async (t) => {
  const daemon = await startDaemon();
  t.after(() => daemon[Symbol.asyncDispose]());
  const tar = await setScene(daemon);
  for (let round = 0; round < ROUNDS; round++) {
    const busy = Promise.all(operations(daemon, round, tar).map((operation) => operation().catch(() => {})));
    await sleep(Math.random() * 600);
    await daemon.kill();
    await busy;
    await daemon.start();
    await checkVolumes(daemon, round);
  }
  for (const { Id } of await daemon.call<{ Id: string }[]>("GET", "/containers/json?all=1"))
    await daemon.call("DELETE", `/containers/${Id}?force=1&v=1`);
  for (const { Name } of await volumesOf(daemon)) await daemon.call("DELETE", `/volumes/${Name}`);
  assert.deepEqual(readdirSync(join(daemon.dataRoot, "volumes")), []);
});

/** An image and volumes full of "old" and of "new"; `old` and `new` are snapshots. The tar is of "new". */
async function setScene(daemon: TestDaemon): Promise<Buffer> {
  const cli = new Cli("gantry", daemon);
  const fill = (text: string, folder: string) =>
    `mkdir -p ${folder}/in; for i in $(seq ${FILES / 2}); do echo ${text} > ${folder}/$i; echo ${text} > ${folder}/in/$i; done`;
  await cli.ok("run", "--name", "seed", "busybox", "sh", "-c", fill("new", "/seed"));
  await cli.ok("commit", "seed", "seeded");
  await cli.ok("rm", "seed");
  await cli.ok("run", "--rm", "-v", "turned:/v", "busybox", "sh", "-c", fill("old", "/v"));
  await cli.ok("volume", "snapshot", "turned", "old");
  await cli.ok("run", "--rm", "-v", "made:/seed", "seeded", "true");
  await cli.ok("volume", "snapshot", "made", "new");
  await cli.ok("volume", "rm", "made");
  const exported = await daemon.open("GET", "/volumes/new/export");
  return Buffer.concat(await Array.fromAsync(exported as AsyncIterable<Buffer>));
}

/** All at once; each may fail, because the daemon is killed or another one is in its way. */
function operations(daemon: TestDaemon, round: number, tar: Buffer): readonly (() => Promise<unknown>)[] {
  const copy = (from: string, Name: string, Snapshot: boolean) =>
    daemon.call("POST", `/volumes/${from}/copy`, { Name, Snapshot });
  return [
    async () => {
      const Mounts = [{ Type: "volume", Source: `filled-${round}`, Target: "/seed" }];
      const HostConfig = { Mounts, NetworkMode: "none" };
      const body = { Image: "seeded", Cmd: ["true"], HostConfig };
      const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", body);
      await daemon.call("POST", `/containers/${Id}/start`);
    },
    () => copy("new", `cloned-${round}`, false),
    () => copy("old", `kept-${round}`, true),
    () => daemon.call("POST", `/volumes/turned/restore?from=${round % 2 === 0 ? "new" : "old"}`),
    () => daemon.call("POST", `/volumes/import?name=brought-${round}`, Readable.from([tar])),
    async () => (await daemon.open("GET", "/volumes/old/export")).resume(),
    () => daemon.call("DELETE", `/volumes/cloned-${round - 1}`),
    () => daemon.call("DELETE", `/volumes/brought-${round - 1}`),
  ];
}

const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  filled: ["", "new"],
  cloned: ["new"],
  kept: ["old"],
  brought: ["new"],
  turned: ["old", "new"],
  old: ["old"],
  new: ["new"],
};

async function checkVolumes(daemon: TestDaemon, round: number): Promise<void> {
  const root = join(daemon.dataRoot, "volumes");
  const volumes = await volumesOf(daemon);
  for (const { Name } of volumes) {
    const [kind = ""] = Name.split("-");
    const state = contentOf(join(root, Name, "_data"));
    assert.ok(ALLOWED[kind]?.includes(state), `round ${round}: ${Name} holds ${JSON.stringify(state)}`);
    assert.deepEqual(readdirSync(join(root, Name)), ["_data"], Name);
  }
  assert.deepEqual(readdirSync(root).sort(), volumes.map(({ Name }) => Name).sort());
  for (const name of ["old", "new", "turned"]) assert.ok(existsSync(join(root, name)), `${name} is gone`);
  assert.deepEqual(
    mountTable().filter(({ target }) => target.startsWith(root)),
    [],
  );
}

async function volumesOf(daemon: TestDaemon): Promise<readonly { readonly Name: string }[]> {
  return (await daemon.call<{ Volumes: { Name: string }[] }>("GET", "/volumes")).Volumes;
}

/** What every file says; "" for an empty folder. */
function contentOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const texts = new Set(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), "utf8").trim()));
  if (files.length === 0) return "";
  return files.length === FILES && texts.size === 1 ? ([...texts][0] ?? "") : `${files.length} files of ${[...texts]}`;
}
