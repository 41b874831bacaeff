/** Layers that are unpacked while they come. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { digestOf } from "../base/digest.ts";
import { failGrowth, grow, newGrowth } from "../base/growth.ts";
import { layerOf, makeTestRoot, type TestRoot, tarOf } from "./snapshots.fixture.ts";
import type { GrowingSource } from "./snapshots.ts";

const PLAIN = tarOf([
  { path: "a", data: randomBytes(700_000) },
  { path: "b", data: "b" },
]);
const PACKED = gzipSync(PLAIN);

class Download {
  readonly source: GrowingSource;
  readonly #growth = newGrowth();
  readonly #begun = Promise.withResolvers<void>();
  readonly #whole = Promise.withResolvers<void>();
  readonly #bytes: Buffer;
  readonly #fd: number;
  #there = 0;
  path: string;

  constructor(root: TestRoot, name: string, bytes: Buffer) {
    this.path = join(root.path, name);
    this.#bytes = bytes;
    this.#fd = openSync(this.path, "w");
    for (const { promise } of [this.#begun, this.#whole]) promise.catch(() => {});
    this.source = {
      open: () => openSync(this.path, "r"),
      length: bytes.length,
      growth: this.#growth,
      begun: this.#begun.promise,
      whole: this.#whole.promise,
    };
  }

  come(count: number): void {
    const end = Math.min(this.#bytes.length, this.#there + count);
    writeSync(this.#fd, this.#bytes.subarray(this.#there, end));
    this.#there = end;
    grow(this.#growth, end);
    this.#begun.resolve();
    if (end < this.#bytes.length) return;
    closeSync(this.#fd);
    this.#whole.resolve();
  }

  fail(): void {
    failGrowth(this.#growth);
    this.#begun.reject(new Error("cut"));
    this.#whole.reject(new Error("cut"));
    closeSync(this.#fd);
  }
}

const diffId = digestOf(PLAIN);

for (const [name, bytes] of Object.entries({ gzip: PACKED, plain: PLAIN }))
  test(`a layer of ${name} is unpacked as its bytes come, under whatever name the file gets meanwhile`, async () => {
    await using root = await makeTestRoot("overlay");
    const download = new Download(root, "coming", bytes);
    const progress: number[] = [];
    const unpacking = root.snapshots.unpack(
      [{ diffId, digest: digestOf(bytes), parent: undefined, source: download.source }],
      {
        onProgress: (_, count) => progress.push(count),
      },
    );
    for (const count of [1, 3, 2, 300_000]) {
      download.come(count);
      await sleep(30);
    }
    renameSync(download.path, join(root.path, "final"));
    download.path = join(root.path, "final");
    download.come(bytes.length);
    const [layer] = await unpacking;
    assert.equal(layer?.size, 700_001);
    assert.equal(progress.at(-1), bytes.length);
  });

test("a source that stops for good fails the unpacking, and nothing of it stays", async () => {
  await using root = await makeTestRoot("overlay");
  const download = new Download(root, "coming", PACKED);
  const unpacking = root.snapshots.unpack([{ diffId, parent: undefined, source: download.source }]);
  download.come(300_000);
  await sleep(50);
  download.fail();
  await assert.rejects(unpacking, { kind: "unavailable" });
  await root.snapshots.removed();
  assert.deepEqual([root.snapshots.layers(), readdirSync(root.paths.snapshots)], [[], []]);
});

test("cancelling does not wait for bytes that do not come", async () => {
  await using root = await makeTestRoot("overlay");
  const download = new Download(root, "coming", PACKED);
  const stop = new AbortController();
  const unpacking = root.snapshots.unpack([{ diffId, parent: undefined, source: download.source }], {
    signal: stop.signal,
  });
  download.come(300_000);
  await sleep(50);
  stop.abort();
  await assert.rejects(unpacking, { kind: "cancelled" });
});

test("slow sources keep nobody waiting whose bytes are there", async () => {
  await using root = await makeTestRoot("overlay");
  const slow = [1, 2, 3, 4].map((at) => {
    const plain = tarOf([{ path: `slow-${at}`, data: randomBytes(400_000) }]);
    const download = new Download(root, `slow-${at}`, plain);
    download.come(1000);
    return {
      download,
      unpacking: root.snapshots.unpack([{ diffId: digestOf(plain), parent: undefined, source: download.source }]),
    };
  });
  await sleep(50);
  const whole = layerOf(join(root.path, "whole"), PLAIN);
  assert.equal((await root.snapshots.unpack([whole])).length, 1);
  // One that had to wait for a thread is unpacked when it is whole.
  const last = slow.at(-1);
  last?.download.come(1 << 20);
  assert.equal((await last?.unpacking)?.[0]?.size, 400_000);
  for (const { download, unpacking } of slow.slice(0, -1)) {
    download.come(1 << 20);
    assert.equal((await unpacking)[0]?.size, 400_000);
  }
});

test("a small layer is unpacked when it is whole", async () => {
  await using root = await makeTestRoot("copy");
  const plain = tarOf([{ path: "a", data: "small" }]);
  const download = new Download(root, "small", gzipSync(plain));
  const unpacking = root.snapshots.unpack([{ diffId: digestOf(plain), parent: undefined, source: download.source }]);
  download.come(20);
  await sleep(20);
  download.come(1 << 20);
  assert.equal((await unpacking)[0]?.size, 5);
});
