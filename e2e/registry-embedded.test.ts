/** The registry inside the daemon: pushes that move no bytes, and what others see of it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
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
const ask = (method: string, path: string) => fetch(`http://127.0.0.1:${port}/v2/${path}`, { method });
const blobFile = (folder: string, digest: string) => join(daemon.dataRoot, folder, digest.slice(7));

test("docker push to the daemon's own registry shares the layers: the same files, no upload", async () => {
  await docker("tag", "busybox", `localhost:${port}/team/busybox:1`);
  const said = await docker("push", `localhost:${port}/team/busybox:1`);
  assert.match(said, /digest: sha256:/);
  const manifest = (await (await ask("GET", "team/busybox/manifests/1")).json()) as ImageManifest;
  for (const { digest } of [manifest.config, ...manifest.layers]) {
    const ours = statSync(join(daemon.dataRoot, "registry", "blobs", "sha256", digest.slice(7, 9), digest.slice(7)));
    assert.equal(ours.ino, statSync(blobFile("content/blobs/sha256", digest)).ino);
    assert.equal((await ask("HEAD", `team/busybox/blobs/${digest}`)).status, 200);
  }
  assert.deepEqual(readdirSync(join(daemon.dataRoot, "registry", "uploads")), []);
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
  await docker("rmi", "-f", name, "busybox");
  await docker("pull", name);
  assert.equal((await docker("run", "--rm", name, "echo", "back")).trim(), "back");
});

test("a kill of the daemon loses nothing, and the next serves again", async () => {
  await daemon.kill();
  await daemon.start();
  assert.equal((await ask("GET", "team/busybox/manifests/1")).status, 200);
});
