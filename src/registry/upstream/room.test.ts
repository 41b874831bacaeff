/** A cache whose quota is smaller than what is pulled through it. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digestOf } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { makeLayout } from "../storage/layout.ts";

let origin: TestRegistry;
let cache: TestRegistry;

const KB = 1000;
const QUOTA = 100 * KB;
const text = (what: string, bytes: number) => what.padEnd(bytes, "x");

beforeEach(async () => {
  origin = await startRegistry();
  cache = await startRegistry({
    upstreams: [{ prefix: "up", url: origin.url, ttl: 0 }],
    quotas: [{ repositories: [/^up\/.*$/, /^own$/], bytes: QUOTA }],
  });
});
afterEach(async () => {
  await cache[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

/** Pulls tag v1 of an image and checks all of its bytes; resolves with the status of each answer. */
async function pull(name: string, from = cache): Promise<number[]> {
  const manifest = await from.fetch("GET", `/v2/up/${name}/manifests/v1`);
  if (!manifest.ok) return [manifest.status];
  const { layers } = (await manifest.json()) as { layers: Descriptor[] };
  const statuses = [manifest.status];
  for (const { digest } of layers) {
    const blob = await from.fetch("GET", `/v2/up/${name}/blobs/${digest}`);
    statuses.push(blob.status);
    assert.equal(digestOf(Buffer.from(await blob.arrayBuffer())), digest);
  }
  return statuses;
}

const layout = () => makeLayout(cache.root);
/** As if it had been pulled so many minutes ago. */
function age(name: string, { digest }: Descriptor, minutes: number): void {
  const then = Date.now() / 1000 - minutes * 60;
  utimesSync(layout().manifest(`up/${name}`, digest), then, then);
}
const isHere = (name: string, { digest }: Descriptor) => existsSync(layout().manifest(`up/${name}`, digest));
const layerOf = async ({ digest }: Descriptor, name: string): Promise<Descriptor> => {
  const manifest = await origin.fetch("GET", `/v2/${name}/manifests/${digest}`);
  const { layers } = (await manifest.json()) as { layers: [Descriptor] };
  return layers[0];
};

test("what nobody pulled for longest makes room, with its blobs, and comes back by the next pull", async () => {
  const a = await origin.pushImage("a", "v1", text("a", 40 * KB));
  const b = await origin.pushImage("b", "v1", text("b", 40 * KB));
  await origin.pushImage("c", "v1", text("c", 40 * KB));
  assert.deepEqual(await pull("a"), [200, 200]);
  assert.deepEqual(await pull("b"), [200, 200]);
  age("a", a, 10);
  age("b", b, 20);
  assert.deepEqual(await pull("c"), [200, 200]);
  assert.deepEqual([isHere("a", a), isHere("b", b)], [true, false]);
  assert.ok(!existsSync(layout().blob((await layerOf(b, "b")).digest)));
  assert.ok(existsSync(layout().blob((await layerOf(a, "a")).digest)));
  assert.deepEqual(await pull("b"), [200, 200]);
  assert.equal(isHere("a", a), false);
});

test("a layer that another copy has stays for it", async () => {
  const layer = text("shared", 30 * KB);
  const a = await origin.pushImage("a", "v1", layer);
  const b = await origin.pushImage("b", "v1", layer);
  await origin.pushImage("c", "v1", text("c", 45 * KB));
  await pull("a");
  await pull("b");
  age("a", a, 20);
  age("b", b, 10);
  assert.deepEqual(await pull("c"), [200, 200]);
  assert.equal(isHere("a", a), false);
  assert.equal(isHere("b", b), true);
  assert.ok(existsSync(layout().blob((await layerOf(b, "b")).digest)));
});

test("an index goes with all it lists, by the last use of any of it", async () => {
  const children = [
    await origin.pushImage("a", undefined, "1"),
    await origin.pushImage("a", undefined, text("2", 40 * KB)),
  ];
  const index = await origin.pushManifest(
    "a",
    { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: children },
    "v1",
  );
  const b = await origin.pushImage("b", "v1", text("b", 40 * KB));
  await origin.pushImage("c", "v1", text("c", 40 * KB));
  await cache.fetch("GET", "/v2/up/a/manifests/v1");
  for (const child of children) {
    const manifest = await cache.fetch("GET", `/v2/up/a/manifests/${child.digest}`);
    const { layers } = (await manifest.json()) as { layers: [Descriptor] };
    await (await cache.fetch("GET", `/v2/up/a/blobs/${layers[0].digest}`)).arrayBuffer();
  }
  await pull("b");
  age("a", index, 30);
  for (const [at, child] of children.entries()) age("a", child, at === 0 ? 30 : 5);
  age("b", b, 10);
  assert.deepEqual(await pull("c"), [200, 200]);
  assert.deepEqual([isHere("a", index), isHere("b", b)], [true, false]);
  for (const child of children) age("a", child, 30);
  assert.deepEqual(await pull("b"), [200, 200]);
  assert.deepEqual(
    [index, ...children].map((one) => isHere("a", one)),
    [false, false, false],
  );
});

/** What passed through left nothing here but, at most, its manifest. */
const isKept = async (name: string, image: Descriptor, from = cache) =>
  existsSync(makeLayout(from.root).blob((await layerOf(image, name)).digest));

test("what was pushed here is nobody's room; an image that does not fit beside it passes through, and takes no other's place", async () => {
  // Its configuration has the text too.
  const own = await cache.pushImage("own", "v1", text("own", 40 * KB));
  const a = await origin.pushImage("a", "v1", text("a", 5 * KB));
  const c = await origin.pushImage("c", "v1", text("c", 20 * KB));
  assert.deepEqual(await pull("a"), [200, 200]);
  for (let i = 0; i < 2; i++) assert.deepEqual(await pull("c"), [200, 200]);
  assert.equal((await cache.fetch("GET", `/v2/own/manifests/${own.digest}`)).status, 200);
  assert.deepEqual([await isKept("a", a), await isKept("c", c)], [true, false]);
  assert.ok(isHere("a", a));
});

test("an image beyond the quota passes through, and takes no other's place", async () => {
  const a = await origin.pushImage("a", "v1", text("a", 40 * KB));
  const c = await origin.pushImage("c", "v1", text("c", 2 * QUOTA));
  assert.deepEqual(await pull("a"), [200, 200]);
  assert.deepEqual(await pull("c"), [200, 200]);
  assert.deepEqual([await isKept("a", a), await isKept("c", c)], [true, false]);
  assert.deepEqual(readdirSync(layout().uploads), []);
});

test("an image of small layers that do not fit together takes no other's place, whichever comes first, or all at once", async () => {
  const a = await origin.pushImage("a", "v1", text("a", 10 * KB));
  const layers = [];
  for (const what of ["1", "2", "3", "4"]) layers.push(await origin.pushBlob("c", text(what, 30 * KB)));
  const config = await origin.pushBlob("c", "{}");
  await origin.pushManifest("c", { schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers }, "v1");
  await pull("a");
  assert.deepEqual(await pull("c"), [200, 200, 200, 200, 200]);
  const each = layers.map(async ({ digest }) => {
    const blob = await cache.fetch("GET", `/v2/up/c/blobs/${digest}`);
    return digestOf(Buffer.from(await blob.arrayBuffer())) === digest;
  });
  assert.deepEqual(await Promise.all(each), [true, true, true, true]);
  assert.ok(isHere("a", a));
  assert.ok(await isKept("a", a));
});

test("a part of what passes through is that part", async () => {
  const content = text("c", 2 * QUOTA);
  const layer = await layerOf(await origin.pushImage("c", "v1", content), "c");
  const path = `/v2/up/c/blobs/${layer.digest}`;
  const part = await cache.fetch("GET", path, { headers: { Range: "bytes=150000-150009" } });
  assert.deepEqual([part.status, await part.text()], [206, content.slice(150_000, 150_010)]);
  assert.equal((await cache.fetch("HEAD", path)).headers.get("content-length"), String(content.length));
});

test("bytes that are not what they should be do not pass whole", async () => {
  const layer = await layerOf(await origin.pushImage("c", "v1", text("c", 2 * QUOTA)), "c");
  const file = makeLayout(origin.root).blob(layer.digest);
  chmodSync(file, 0o644);
  writeFileSync(file, text("d", 2 * QUOTA));
  const answer = await cache.fetch("GET", `/v2/up/c/blobs/${layer.digest}`);
  await assert.rejects(answer.arrayBuffer());
});

test("a client that goes away from what passes through takes the download along", async () => {
  const layer = await layerOf(await origin.pushImage("c", "v1", text("c", 40_000 * KB)), "c");
  const gone = new AbortController();
  const answer = await cache.fetch("GET", `/v2/up/c/blobs/${layer.digest}`, { signal: gone.signal });
  await answer.body?.getReader().read();
  gone.abort();
  const requests = async () =>
    /gantry_registry_requests_in_flight(?:\{.*\})? (\d+)/.exec(
      await (await origin.fetch("GET", "/metrics")).text(),
    )?.[1];
  while ((await requests()) !== "1") await sleep(10);
});

test("an image beyond the quota of each repository passes through, though all of them together would have room for it", async () => {
  await using narrow = await startRegistry({
    upstreams: [{ prefix: "up", url: origin.url, ttl: 0 }],
    quotas: [
      { repositories: [/^up\/.*$/], bytes: 3 * QUOTA },
      { repositories: [/^up\/.*$/], bytes: QUOTA, each: true },
    ],
  });
  const a = await origin.pushImage("a", "v1", text("a", 40 * KB));
  const c = await origin.pushImage("c", "v1", text("c", 120 * KB));
  assert.deepEqual(await pull("a", narrow), [200, 200]);
  assert.deepEqual(await pull("c", narrow), [200, 200]);
  assert.deepEqual([await isKept("a", a, narrow), await isKept("c", c, narrow)], [true, false]);
});

test("the longest unused is found also among repositories that did not change since room was last made", async () => {
  const images = new Map<string, Descriptor>();
  for (const name of ["a", "b", "c", "d", "e"])
    images.set(name, await origin.pushImage(name, "v1", text(name, 30 * KB)));
  for (const name of ["a", "b", "c", "d", "e"]) assert.deepEqual(await pull(name), [200, 200]);
  const here = [...images].filter(([name, image]) => isHere(name, image)).map(([name]) => name);
  assert.deepEqual(here, ["c", "d", "e"]);
});

test("many pulls at once stay within the quota, once they are over, and all succeed", async () => {
  const names = Array.from({ length: 12 }, (_, at) => `n${at}`);
  for (const name of names) await origin.pushImage(name, "v1", text(name, 20 * KB));
  assert.deepEqual(new Set((await Promise.all(names.map((name) => pull(name)))).flat()), new Set([200]));
  await origin.pushImage("last", "v1", text("last", 10 * KB));
  assert.deepEqual(await pull("last"), [200, 200]);
  const left = names.filter((name) => existsSync(`${layout().repository(`up/${name}`)}/tags/v1`));
  assert.ok(left.length <= 4, left.join());
});
