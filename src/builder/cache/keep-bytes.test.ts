import assert from "node:assert/strict";
import { test } from "node:test";
import { keepBytes } from "./keep-bytes.ts";

const space = { used: 100, free: 50 };

test("a prune leaves what its three limits say together", () => {
  assert.equal(keepBytes({}, space), undefined);
  assert.equal(keepBytes({ keepStorage: 0, maxUsedSpace: 0, minFreeSpace: 0 }, space), undefined);
  assert.equal(keepBytes({ keepStorage: 30 }, space), 30);
  assert.equal(keepBytes({ maxUsedSpace: 40 }, space), 40);
  assert.equal(keepBytes({ keepStorage: 60, maxUsedSpace: 40 }, space), 60);
  assert.equal(keepBytes({ minFreeSpace: 50 }, space), 100);
  assert.equal(keepBytes({ minFreeSpace: 70 }, space), 80);
  assert.equal(keepBytes({ minFreeSpace: 70, maxUsedSpace: 90 }, space), 80);
  assert.equal(keepBytes({ minFreeSpace: 70, maxUsedSpace: 60 }, space), 60);
  assert.equal(keepBytes({ minFreeSpace: 500 }, space), 0);
  assert.equal(keepBytes({ minFreeSpace: 500, keepStorage: 20 }, space), 20);
});
