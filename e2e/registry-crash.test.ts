/** A registry that is killed in the middle of uploads, many times: what was answered is there, and nothing half-written is visible. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf } from "../src/base/digest.ts";
import { MEDIA } from "../src/oci/media-types.ts";
import type { Descriptor, ImageManifest } from "../src/oci/types.ts";
import { openRegistry } from "../src/registry/open.ts";
import { type RegistryProcess, startRegistryProcess } from "./lib/registry-process.ts";

const ROUNDS = 6;
const CLIENTS = 6;
/** Images that are looked at after each kill, the last ones; all of them at the end. */
const SAMPLE = 20;
const root = mkdtempSync(join(tmpdir(), "gantry-registry-crash-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** Where the registry is now; a client that loses it waits for the next. */
let serving: RegistryProcess;
const at = (path: string) => new URL(path, `http://${serving.host}`);
const call = (method: string, path: string, body?: Buffer<ArrayBuffer>, headers: Record<string, string> = {}) =>
  fetch(at(path), { method, headers, ...(body !== undefined && { body }) });

/** The clients go on. */
let running = true;

/** Until it succeeds: a killed registry answers nothing. */
async function insist<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  while (running) {
    const result = await attempt().catch(() => undefined);
    if (result !== undefined) return result;
    await sleep(10);
  }
  throw new Error("the test is over");
}

/** In chunks, going on after each crash from where the registry says it is. */
async function pushBlob(name: string, data: Buffer<ArrayBuffer>): Promise<Descriptor> {
  const digest = digestOf(data);
  const location = await insist(
    async () => (await call("POST", `/v2/${name}/blobs/uploads/`)).headers.get("location") ?? undefined,
  );
  let resumed = false;
  await insist(async () => {
    const status = await call("GET", location);
    // The digest was accepted, and the answer lost.
    if (status.status === 404)
      return (await call("HEAD", `/v2/${name}/blobs/${digest}`)).status === 200 ? true : undefined;
    const range = status.headers.get("range") ?? "0-0";
    let start = range === "0-0" ? 0 : Number(range.slice(2)) + 1;
    assert.ok(!resumed || start <= data.length);
    resumed = true;
    for (; start < data.length; start += 100_000) {
      const chunk = data.subarray(start, start + 100_000);
      const headers = { "Content-Range": `${start}-${start + chunk.length - 1}` };
      if ((await call("PATCH", location, chunk, headers)).status !== 202) return undefined;
    }
    return (await call("PUT", `${location}?digest=${digest}`)).status === 201 ? true : undefined;
  });
  return { mediaType: MEDIA.ociLayer, digest, size: data.length };
}

async function pushImage(name: string, tag: string): Promise<string> {
  const config = { ...(await pushBlob(name, Buffer.from(JSON.stringify({ name, tag })))), mediaType: MEDIA.ociConfig };
  const layers = [await pushBlob(name, randomBytes(400_000 + Math.floor(Math.random() * 800_000)))];
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers }));
  const headers = { "Content-Type": MEDIA.ociManifest };
  await insist(async () =>
    (await call("PUT", `/v2/${name}/manifests/${tag}`, manifest, headers)).status === 201 ? true : undefined,
  );
  return digestOf(manifest);
}

test(`${ROUNDS} kills during the uploads of ${CLIENTS} clients`, { timeout: 240_000 }, async () => {
  serving = await startRegistryProcess("--root", root);
  const pushed = new Map<string, string>();
  let enough = false;
  const client = async (id: number) => {
    for (let count = 0; !enough; count++) {
      const name = `client/${id % 3}`;
      const tag = `${id}-${count}`;
      pushed.set(`${name}:${tag}`, await pushImage(name, tag));
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, id) => client(id));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(200 + Math.random() * 800);
      await serving.end("SIGKILL");
      assertNothingHalf();
      serving = await startRegistryProcess("--root", root);
      for (const [image, digest] of [...pushed].slice(-SAMPLE)) await assertWhole(image, digest);
    }
    enough = true;
    await Promise.all(clients);
    assert.ok(pushed.size >= ROUNDS, `only ${pushed.size} images were pushed`);
    for (const [image, digest] of pushed) await assertWhole(image, digest);
    await serving.end();
    await assertNothingLeaks(pushed.size);
  } finally {
    running = false;
    await Promise.allSettled(clients);
    await serving[Symbol.asyncDispose]();
  }
});

/** While nobody serves: every blob has the content of its name. */
function assertNothingHalf(): void {
  for (const path of filesBelow("blobs")) {
    const actual = createHash("sha256").update(readFileSync(path)).digest("hex");
    assert.ok(path.endsWith(actual), `${path} has the digest ${actual}`);
  }
}

async function assertWhole(image: string, digest: string): Promise<void> {
  const [name = "", tag = ""] = image.split(":");
  const answer = await call("GET", `/v2/${name}/manifests/${tag}`);
  assert.equal(answer.headers.get("docker-content-digest"), digest, image);
  const { config, layers } = (await answer.json()) as ImageManifest;
  for (const blob of [config, ...layers]) {
    const { status, headers } = await call("HEAD", `/v2/${name}/blobs/${blob.digest}`);
    assert.equal(status, 200);
    assert.equal(headers.get("content-length"), String(blob.size));
  }
}

/** After a collection there are three blobs for each image, and nothing else. */
async function assertNothingLeaks(images: number): Promise<void> {
  await using registry = await openRegistry({ root, collection: { uploadsExpire: 0 } });
  await registry.collect({ grace: 0 });
  assert.equal(filesBelow("blobs").length, images * 3);
  assert.deepEqual([filesBelow("uploads"), filesBelow("tmp")], [[], []]);
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
