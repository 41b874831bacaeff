import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIdMap } from "./id-map.ts";

test("ranges become lines of the kernel's, and the half that is not given stays as it is", () => {
  assert.deepEqual(parseIdMap("uids=0-1000-1#1-100000-999;gids=5-6-7"), {
    uids: "0 1000 1\n1 100000 999",
    gids: "5 6 7",
  });
  assert.deepEqual(parseIdMap("uids=0-1-2"), { uids: "0 1 2", gids: "0 0 4294967295" });
});

test("what is no mapping is refused with how to write one", () => {
  const odd = [
    "",
    "uids",
    "uids=",
    "uids=0-1",
    "uids=0-1-0",
    "uids=0-1-4294967295",
    "uids=a-b-c",
    "x=0-0-1",
    "uids=0-0-1;uids=0-0-1",
  ];
  const many = `uids=${Array.from({ length: 341 }, (_, i) => `${i}-${i}-1`).join("#")}`;
  for (const text of [...odd, "uids=0-0-1;", many])
    assert.throws(() => parseIdMap(text), { kind: "invalid", hint: /idmap=uids=0-1000-1/ }, text);
});
