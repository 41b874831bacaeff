/** Collections of a registry that is being used. */
import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor, ImageManifest } from "../../oci/types.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";

const NOTHING = { tags: 0, manifests: 0, blobs: 0, uploads: 0, bytes: 0 };

const has = async (registry: TestRegistry, path: string) =>
  (await registry.fetch("HEAD", `/v2/${path}`)).status === 200;

function filesIn(registry: TestRegistry): string[] {
  return readdirSync(join(registry.root, "blobs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

/** Every byte of it can be pulled. */
async function assertWhole(registry: TestRegistry, name: string, { digest }: Descriptor): Promise<void> {
  const manifest = await registry.fetch("GET", `/v2/${name}/manifests/${digest}`);
  assert.equal(manifest.status, 200);
  const { config, layers } = (await manifest.json()) as ImageManifest;
  for (const blob of [config, ...layers]) {
    const answer = await registry.fetch("GET", `/v2/${name}/blobs/${blob.digest}`);
    assert.equal(answer.status, 200, `${name} lacks ${blob.digest}`);
    assert.equal(digestOf(Buffer.from(await answer.arrayBuffer())), blob.digest);
  }
}

test("what a manifest needs stays, what none needs goes, and the count is that of the dry run", async () => {
  await using registry = await startRegistry();
  const image = await registry.pushImage("a", "v1", "layer");
  const loose = await registry.pushBlob("a", "loose");
  const expected = { ...NOTHING, blobs: 1, bytes: loose.size };
  assert.deepEqual(await registry.registry.collect({ grace: 0, dryRun: true }), expected);
  assert.ok(await has(registry, `a/blobs/${loose.digest}`));
  assert.deepEqual(await registry.registry.collect({ grace: 0 }), expected);
  assert.ok(!(await has(registry, `a/blobs/${loose.digest}`)));
  await assertWhole(registry, "a", image);
  assert.deepEqual(await registry.registry.collect({ grace: 0 }), NOTHING);
});

test("a blob without a manifest is kept for the grace, counted from when a push last asked for it", async () => {
  await using registry = await startRegistry();
  const { digest } = await registry.pushBlob("a", "young");
  await registry.registry.collect({ grace: 60_000 });
  assert.ok(await has(registry, `a/blobs/${digest}`));
});

test("a deleted image takes its blobs along, but not those of another repository", async () => {
  await using registry = await startRegistry();
  const doomed = await registry.pushImage("a", "v1", "shared layer");
  const other = await registry.pushImage("b", "v1", "shared layer", { annotations: { other: "yes" } });
  const lonely = await registry.pushImage("a", "v2", "lonely layer");
  await registry.fetch("DELETE", `/v2/a/manifests/${doomed.digest}`);
  await registry.fetch("DELETE", `/v2/a/manifests/${lonely.digest}`);
  await registry.registry.collect({ grace: 0 });
  await assertWhole(registry, "b", other);
  assert.equal(filesIn(registry).length, 3);
  assert.equal((await registry.fetch("GET", "/v2/a/tags/list")).status, 404, "an empty repository is gone");
});

test("deleted everywhere, nothing is left on the disk", async () => {
  await using registry = await startRegistry();
  const { digest } = await registry.pushImage("a", "v1", "x");
  await registry.fetch("DELETE", `/v2/a/manifests/${digest}`);
  await registry.registry.collect({ grace: 0 });
  assert.deepEqual(filesIn(registry), []);
  assert.deepEqual(readdirSync(join(registry.root, "repositories")), []);
});

test("uploads that nobody continues go after a while", async () => {
  await using registry = await startRegistry({ collection: { uploadsExpire: 0 } });
  const started = await registry.fetch("POST", "/v2/a/blobs/uploads/");
  const location = started.headers.get("location") ?? "";
  await registry.fetch("PATCH", location, { body: "12345" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await registry.registry.collect(), { ...NOTHING, uploads: 1, bytes: 5 });
  assert.equal((await registry.fetch("GET", location)).status, 404);
});

test("a repository of which a manifest cannot be read keeps everything", async () => {
  await using registry = await startRegistry();
  const image = await registry.pushImage("a", "v1", "layer");
  const loose = await registry.pushBlob("a", "loose");
  const path = join(registry.root, "blobs", "sha256", image.digest.slice(7, 9), image.digest.slice(7));
  rmSync(path);
  writeFileSync(path, "not json");
  assert.deepEqual(await registry.registry.collect({ grace: 0 }), NOTHING);
  assert.ok(await has(registry, `a/blobs/${loose.digest}`));
});

test("an index holds its manifests' blobs, and a collection leaves referrers of what stays", async () => {
  await using registry = await startRegistry();
  const child = await registry.pushImage("a", undefined, "child");
  const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [child] };
  const parent = await registry.pushManifest("a", index, "multi");
  const signature = await registry.pushImage("a", undefined, "signature", { subject: parent });
  await registry.registry.collect({ grace: 0 });
  await assertWhole(registry, "a", child);
  await assertWhole(registry, "a", signature);
});

test("retention by rules: the first that means a tag decides; a tag takes its index, manifests and referrers along", async () => {
  const retention = [
    { repositories: [/^app$/], tags: [/^v.*$/] },
    { repositories: [/^app$/], tags: [/^pr-.*$/], keep: 1 },
    { repositories: [/^other$/], keep: 0 },
  ];
  await using registry = await startRegistry({ retention });
  const child = await registry.pushImage("app", undefined, "child");
  const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [child] };
  const old = await registry.pushManifest("app", index, "pr-1");
  await registry.pushImage("app", undefined, "signature", { subject: child });
  const released = await registry.pushImage("app", "v1", "released");
  const both = await registry.pushImage("app", "pr-2", "both");
  await registry.pushImage("app", "v2", "both");
  await new Promise((resolve) => setTimeout(resolve, 5));
  const newest = await registry.pushImage("app", "pr-3", "newest");
  await registry.pushImage("app", "other", "no rule means it");
  const dry = await registry.registry.collect({ grace: 0, dryRun: true });
  const collected = await registry.registry.collect({ grace: 0 });
  assert.deepEqual(dry, collected);
  assert.equal(collected.tags, 2);
  assert.equal(collected.manifests, 3);
  const list = await registry.fetch("GET", "/v2/app/tags/list");
  assert.deepEqual(((await list.json()) as { tags: string[] }).tags, ["other", "pr-3", "v1", "v2"]);
  for (const image of [released, both, newest]) await assertWhole(registry, "app", image);
  for (const { digest } of [old, child]) assert.ok(!(await has(registry, `app/manifests/${digest}`)));
});

test("images that are pushed, mounted and deleted during endless collections are whole or gone", async () => {
  await using registry = await startRegistry();
  let busy = true;
  const collecting = (async () => {
    let count = 0;
    for (; busy; count++) await registry.registry.collect({ grace: 1_500 });
    return count;
  })();
  const kept: [name: string, image: Descriptor][] = [];
  const worker = async (id: number) => {
    for (let round = 0; round < 25; round++) {
      const name = `w${id % 3}/r`;
      const image = await registry.pushImage(name, `t${id}-${round}`, `layer ${round % 7}`, {
        annotations: { id: `${id}-${round}` },
      });
      if (round % 3 === 0) await registry.fetch("DELETE", `/v2/${name}/manifests/${image.digest}`);
      else kept.push([name, image]);
    }
  };
  await Promise.all([0, 1, 2, 3, 4].map(worker));
  busy = false;
  assert.ok((await collecting) > 1);
  await registry.registry.collect({ grace: 0 });
  for (const [name, image] of kept) await assertWhole(registry, name, image);
});
