/** A cache whose quota is smaller than what is pulled through it. */
import assert from "node:assert/strict";
import { existsSync, utimesSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
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

/** Pulls tag v1 of an image with a layer of this content; resolves with the status of each answer. */
async function pull(name: string): Promise<number[]> {
  const manifest = await cache.fetch("GET", `/v2/up/${name}/manifests/v1`);
  if (!manifest.ok) return [manifest.status];
  const { layers } = (await manifest.json()) as { layers: Descriptor[] };
  const statuses = [manifest.status];
  for (const { digest } of layers) {
    const blob = await cache.fetch("GET", `/v2/up/${name}/blobs/${digest}`);
    statuses.push(blob.status);
    await blob.arrayBuffer();
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
  await origin.pushImage("c", "v1", text("c", 60 * KB));
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

test("what was pushed here is nobody's room; an image that does not fit beside it is refused, and takes no other's place", async () => {
  // Its configuration has the text too.
  const own = await cache.pushImage("own", "v1", text("own", 40 * KB));
  const a = await origin.pushImage("a", "v1", text("a", 10 * KB));
  await origin.pushImage("c", "v1", text("c", 40 * KB));
  assert.deepEqual(await pull("a"), [200, 200]);
  assert.deepEqual(await pull("c"), [200, 403]);
  assert.equal((await cache.fetch("GET", `/v2/own/manifests/${own.digest}`)).status, 200);
  assert.ok(isHere("a", a));
  assert.ok(existsSync(layout().blob((await layerOf(a, "a")).digest)));
});

test("an image beyond the quota is refused, and takes no other's place", async () => {
  const a = await origin.pushImage("a", "v1", text("a", 40 * KB));
  await origin.pushImage("c", "v1", text("c", 2 * QUOTA));
  assert.deepEqual(await pull("a"), [200, 200]);
  assert.deepEqual(await pull("c"), [200, 403]);
  assert.ok(isHere("a", a));
  assert.ok(existsSync(layout().blob((await layerOf(a, "a")).digest)));
});

test("an image beyond the quota of each repository is refused, though all of them together would have room for it", async () => {
  await using narrow = await startRegistry({
    upstreams: [{ prefix: "up", url: origin.url, ttl: 0 }],
    quotas: [
      { repositories: [/^up\/.*$/], bytes: QUOTA },
      { repositories: [/^up\/.*$/], bytes: 50 * KB, each: true },
    ],
  });
  const a = await origin.pushImage("a", "v1", text("a", 40 * KB));
  const c = await origin.pushImage("c", "v1", text("c", 80 * KB));
  const statuses: number[] = [];
  for (const [name, image] of [
    ["a", a],
    ["c", c],
  ] as const) {
    statuses.push((await narrow.fetch("GET", `/v2/up/${name}/manifests/v1`)).status);
    const { digest } = await layerOf(image, name);
    const blob = await narrow.fetch("GET", `/v2/up/${name}/blobs/${digest}`);
    statuses.push(blob.status);
    await blob.arrayBuffer();
  }
  assert.deepEqual(statuses, [200, 200, 200, 403]);
  assert.ok(existsSync(makeLayout(narrow.root).manifest("up/a", a.digest)));
});

test("many pulls at once stay within the quota, once they are over, and all succeed", async () => {
  const names = Array.from({ length: 12 }, (_, at) => `n${at}`);
  for (const name of names) await origin.pushImage(name, "v1", text(name, 20 * KB));
  assert.deepEqual(new Set((await Promise.all(names.map(pull))).flat()), new Set([200]));
  await origin.pushImage("last", "v1", text("last", 10 * KB));
  assert.deepEqual(await pull("last"), [200, 200]);
  const left = names.filter((name) => existsSync(`${layout().repository(`up/${name}`)}/tags/v1`));
  assert.ok(left.length <= 4, left.join());
});
