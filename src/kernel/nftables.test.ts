import assert from "node:assert/strict";
import { test } from "node:test";
import { applyRuleset, listTable, NftSocket } from "./nftables.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const TABLE = `gantry_test_${process.pid}`;

const element = (port: number, to = 80) => ({
  set: "ports",
  key: [Uint8Array.of(6), Uint8Array.of(port >> 8, port & 255)],
  value: [Uint8Array.of(10, 0, 0, 2), Uint8Array.of(0, to)],
});

async function elements(): Promise<unknown[]> {
  const objects = await listTable("inet", TABLE);
  return objects?.flatMap(({ map }) => (map as { elem?: unknown[] } | undefined)?.elem ?? []) ?? [];
}

test("elements are added and removed in one step, and nft(8) sees them", { skip }, async () => {
  const socket = new NftSocket();
  try {
    const map = "map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }";
    await applyRuleset(`table inet ${TABLE} {\n${map}\n}\n`);
    socket.changeElements({ table: TABLE, add: [element(8080), element(8081)], remove: [] });
    assert.deepEqual((await elements())[0], [{ concat: ["tcp", 8080] }, { concat: ["10.0.0.2", 80] }]);
    socket.changeElements({ table: TABLE, add: [element(8082)], remove: [element(8080)] });
    assert.equal((await elements()).length, 2);
    assert.throws(
      () => socket.changeElements({ table: TABLE, add: [element(9)], remove: [element(8080), element(8)] }),
      {
        code: "ENOENT",
      },
    );
    assert.throws(() => socket.changeElements({ table: TABLE, add: [element(9), element(8081, 81)], remove: [] }), {
      code: "EEXIST",
    });
    assert.throws(() => socket.changeElements({ table: `${TABLE}_not`, add: [element(1), element(2)], remove: [] }), {
      code: "ENOENT",
    });
    assert.equal((await elements()).length, 2);
  } finally {
    socket.close();
    await applyRuleset(`delete table inet ${TABLE}\n`);
  }
  assert.equal(await listTable("inet", TABLE), undefined);
});

test("an element is found by its key, and the rules of a table by a fingerprint", { skip }, async () => {
  const socket = new NftSocket();
  const chain = (...rules: string[]) => `chain first {\n${rules.join("\n")}\n}`;
  const write = (...parts: string[]) => applyRuleset(`table inet ${TABLE}_2 {\n${parts.join("\n")}\n}\n`);
  try {
    const none = socket.fingerprint(`${TABLE}_2`);
    await write("map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }", chain("tcp dport 1 drop"));
    assert.equal(socket.has(`${TABLE}_2`, element(8080)), false);
    socket.changeElements({ table: `${TABLE}_2`, add: [element(8080)], remove: [] });
    const has = [8080, 8081].map((port) => socket.has(`${TABLE}_2`, element(port)));
    assert.deepEqual([...has, socket.has(`${TABLE}_not`, element(8080))], [true, false, false]);
    const one = socket.fingerprint(`${TABLE}_2`);
    await write("set other { type inet_service; elements = { 1 } }");
    assert.equal(socket.fingerprint(`${TABLE}_2`), one);
    await applyRuleset(`flush chain inet ${TABLE}_2 first\nadd rule inet ${TABLE}_2 first tcp dport 2 drop\n`);
    const other = socket.fingerprint(`${TABLE}_2`);
    assert.equal(new Set([none, one, other]).size, 3);
  } finally {
    socket.close();
    await applyRuleset(`delete table inet ${TABLE}_2\n`);
  }
});

test("a ruleset that nft does not understand is refused with its words", { skip }, async () => {
  await assert.rejects(applyRuleset("no such thing\n"), { kind: "internal", message: /^nft: .*syntax error/ });
});

test("many commands at once do not wait for each other", { skip }, async () => {
  await Promise.all(Array.from({ length: 8 }, () => applyRuleset("\n")));
});
