/** The registry inside the daemon: pushes that move no bytes, and what others see of it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { DiskUsage } from "../src/api/types/system.ts";
import type { ImageManifest } from "../src/oci/types.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { freePort } from "../src/testing/free-port.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "gantry-registry-embedded-"));
let port: number;
let daemon: TestDaemon;

before(async () => {
  port = await freePort();
  const config = join(folder, "daemon.json");
  writeFileSync(config, JSON.stringify({ registry: { listen: `127.0.0.1:${port}` } }));
  daemon = await startDaemon({ flags: ["--config-file", config] });
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const docker = async (...args: string[]) =>
  (await run("docker", args, { env: { ...process.env, DOCKER_HOST: daemon.host, DOCKER_CONFIG: folder } })).stdout;
/** Writes the daemon's configuration and has it read. */
async function reload(configuration: object): Promise<void> {
  writeFileSync(join(folder, "daemon.json"), JSON.stringify(configuration));
  process.kill(daemon.pid, "SIGHUP");
}
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(50))
    if (await Promise.resolve(isSo()).catch(() => false)) return;
  throw new Error(`waited in vain; the daemon says ${daemon.log()}`);
}
const ask = (method: string, path: string) => fetch(`http://127.0.0.1:${port}/v2/${path}`, { method });
const blobFile = (folder: string, digest: string) => join(daemon.dataRoot, folder, digest.slice(7));

/** The registry's file and the daemon's are one. */
function assertShared(digest: string): void {
  const its = statSync(join(daemon.dataRoot, "registry", "blobs", "sha256", digest.slice(7, 9), digest.slice(7)));
  assert.equal(its.ino, statSync(blobFile("content/blobs/sha256", digest)).ino, digest);
}

/** Bytes that went over the registry's connections since the last call, headers too. */
let moved = { received: 0, sent: 0 };
async function movedBytes(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const of = (name: string) => Number(new RegExp(`^${name}(?:{.*?})? (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  const now = { received: of("gantry_registry_received_bytes_total"), sent: of("gantry_registry_sent_bytes_total") };
  const bytes = now.received + now.sent - moved.received - moved.sent;
  moved = now;
  return bytes;
}

const blobsOf = async (path: string) => {
  const { config, layers } = (await (await ask("GET", path)).json()) as ImageManifest;
  return [config, ...layers];
};

test("docker push to the daemon's own registry shares the layers: the same files, no upload", async () => {
  await docker("tag", "busybox", `localhost:${port}/team/busybox:1`);
  await movedBytes();
  const said = await docker("push", `localhost:${port}/team/busybox:1`);
  assert.match(said, /digest: sha256:/);
  // A layer of 800 kB.
  assert.ok((await movedBytes()) < 20_000);
  for (const { digest } of await blobsOf("team/busybox/manifests/1")) {
    assertShared(digest);
    assert.equal((await ask("HEAD", `team/busybox/blobs/${digest}`)).status, 200);
  }
  assert.deepEqual(readdirSync(join(daemon.dataRoot, "registry", "uploads")), []);
});

test("docker pull from it shares them too: nothing is sent", async () => {
  const name = `localhost:${port}/team/pulled:1`;
  await docker("tag", "busybox", name);
  await docker("push", name);
  const blobs = await blobsOf("team/pulled/manifests/1");
  await docker("rmi", "-f", name, `localhost:${port}/team/busybox:1`, "busybox");
  for (const { digest } of blobs) assert.ok(!existsSync(blobFile("content/blobs/sha256", digest)));
  await movedBytes();
  assert.match(await docker("pull", name), /Downloaded newer image/);
  assert.ok((await movedBytes()) < 20_000);
  // The configuration is read to know what to pull.
  for (const { digest } of blobs.slice(1)) assertShared(digest);
  assert.equal((await docker("run", "--rm", name, "echo", "back")).trim(), "back");
  await docker("tag", name, "busybox");
});

test("what the daemon has and nobody pushed, others neither see nor mount", async () => {
  await docker("import", daemon.archive, "secret:1");
  const config = (await docker("image", "inspect", "--format", "{{.Id}}", "secret:1")).trim();
  assert.ok(statSync(blobFile("content/blobs/sha256", config)).isFile());
  assert.equal((await ask("HEAD", `stranger/blobs/${config}`)).status, 404);
  assert.equal((await ask("POST", `stranger/blobs/uploads/?mount=${config}`)).status, 202);
});

test("the image outlives its removal from the daemon, and comes back by a pull", async () => {
  const name = `localhost:${port}/team/busybox:1`;
  await docker("rmi", "-f", `localhost:${port}/team/pulled:1`, "busybox");
  await docker("pull", name);
  assert.equal((await docker("run", "--rm", name, "echo", "back")).trim(), "back");
});

const diskUsage = async () => {
  const folders = ["content", "snapshots", "registry"].map((name) => join(daemon.dataRoot, name));
  return Number(/(\d+)\ttotal/.exec((await run("du", ["-scB1", ...folders])).stdout)?.[1]);
};

test("prune says what the disk got back: nothing for layers that the registry shares, all of the others", async () => {
  const name = `localhost:${port}/team/pruned:1`;
  const prune = async () => {
    const path = `/images/prune?filters=${encodeURIComponent(JSON.stringify({ dangling: ["false"] }))}`;
    return (await daemon.call<{ SpaceReclaimed: number }>("POST", path)).SpaceReclaimed;
  };
  await docker("image", "prune", "-af");
  await docker("import", daemon.archive, name);
  await docker("push", name);
  const before = await diskUsage();
  const freed = await prune();
  assert.ok(Math.abs(before - (await diskUsage()) - freed) <= 4 * 4096, `${freed} bytes`);
  // The layer as it was packed stays, for the registry; the unpacked one went.
  assert.ok(freed > 0 && (await ask("GET", "team/pruned/manifests/1")).ok);
  await daemon.call("POST", "/images/load", createReadStream(daemon.archive));
  await docker("tag", "busybox", `localhost:${port}/team/busybox:1`);
});

test("system df has the registry's bytes too, each once, and adds up to what du says", async () => {
  const usage = await daemon.call<DiskUsage>("GET", "/system/df");
  const du = await diskUsage();
  const df = usage.LayersSize + (usage.Registry?.Size ?? Number.NaN);
  assert.ok(Math.abs(df - du) <= 16 * 4096, `df ${df}, du ${du}`);
  const env = { PATH: process.env.PATH, HOME: folder, DOCKER_HOST: daemon.host };
  const gantry = async (...args: string[]) => (await run("bin/gantry", args, { env })).stdout;
  assert.match(await gantry("system", "df"), /^Registry +3 +3 +\d/m);
  assert.match(await gantry("system", "df", "-v"), /^Registry space usage: \S+ in 3 repositories/m);
});

test("SIGHUP takes up changed settings; wrong ones leave the registry as it was", async () => {
  const other = await freePort();
  await reload({ registry: { listen: [`127.0.0.1:${port}`, `127.0.0.1:${other}`], "read-only": true } });
  await until(async () => (await fetch(`http://127.0.0.1:${other}/v2/`)).ok);
  assert.equal((await ask("POST", "team/busybox/blobs/uploads/")).status, 405);
  assert.equal((await ask("GET", "team/busybox/manifests/1")).status, 200);
  await reload({ registry: { listen: `127.0.0.1:${port}`, tls: { certificate: "/nowhere", key: "/nowhere" } } });
  await until(() => daemon.log().includes("/nowhere"));
  assert.equal((await fetch(`http://127.0.0.1:${other}/v2/`)).status, 200);
  await reload({});
  await until(() =>
    fetch(`http://127.0.0.1:${other}/v2/`).then(
      () => false,
      () => true,
    ),
  );
  await reload({ registry: { listen: `127.0.0.1:${port}` } });
  await until(async () => (await ask("POST", "team/busybox/blobs/uploads/")).status === 202);
});

test("a kill of the daemon loses nothing, and the next serves again", async () => {
  await daemon.kill();
  await daemon.start();
  assert.equal((await ask("GET", "team/busybox/manifests/1")).status, 200);
});

test("system df has a registry in a folder of its own too, beside what is left in the data root", async () => {
  const before = await daemon.call<DiskUsage>("GET", "/system/df");
  const root = join(folder, "elsewhere");
  await reload({ registry: { listen: `127.0.0.1:${port}`, root } });
  await until(async () => (await ask("GET", "team/busybox/manifests/1")).status === 404);
  await docker("tag", "busybox", `localhost:${port}/elsewhere/busybox:1`);
  await docker("push", `localhost:${port}/elsewhere/busybox:1`);
  const usage = await daemon.call<DiskUsage>("GET", "/system/df");
  const du = (await run("du", ["--summarize", "--block-size=1", root])).stdout.split("\t")[0];
  const grown = (usage.Registry?.Size ?? Number.NaN) - (before.Registry?.Size ?? Number.NaN);
  let shared = 0;
  for (const { digest } of await blobsOf("elsewhere/busybox/manifests/1")) {
    const { nlink, blocks } = statSync(join(root, "blobs", "sha256", digest.slice(7, 9), digest.slice(7)));
    if (nlink > 1) shared += blocks * 512;
  }
  assert.ok(shared > 0);
  assert.equal((usage.Registry?.Repositories ?? 0) - (before.Registry?.Repositories ?? 0), 1);
  assert.ok(grown > 0 && Math.abs(Number(du) - shared - grown) <= 16 * 4096, `df ${grown}, du ${du}, shared ${shared}`);
});
