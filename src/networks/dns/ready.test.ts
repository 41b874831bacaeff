import assert from "node:assert/strict";
import { test } from "node:test";
import { question } from "./dns.fixture.ts";
import { ReadyAnswers } from "./ready.ts";

test("an answer is ready for the same question under any id, until something has changed", () => {
  let version = 1;
  const ready = new ReadyAnswers(() => version);
  const into = Buffer.alloc(512);
  const ask = (name: string, id: number, edns?: number) => {
    const packet = Buffer.concat([question(name, { id, edns }), Buffer.alloc(100, "x")]);
    return ready.write(packet, packet.length - 100, into);
  };
  assert.equal(ask("db", 1), 0);
  ready.put(question("db", { id: 1 }), Buffer.from("..the answer"));
  assert.equal(ask("db", 0x4142), 12);
  assert.equal(into.toString("latin1", 0, 12), "ABthe answer");
  assert.deepEqual([ask("db", 1, 4096), ask("dB", 1), ask("d", 1)], [0, 0, 0]);
  version = 2;
  assert.equal(ask("db", 1), 0);
  ready.put(question("web"), Buffer.from("..other"));
  assert.deepEqual([ask("db", 1), ask("web", 1)], [0, 7]);
});

test("the answers that are ready are bounded in number, and their questions in size", () => {
  const ready = new ReadyAnswers(() => 1);
  const into = Buffer.alloc(512);
  const known = (name: string) => ready.write(question(name), question(name).length, into) > 0;
  for (let index = 0; index < 2000; index++) ready.put(question(`n${index}`), Buffer.from("..x"));
  assert.ok(known("n1999") && !known("n0"));
  ready.put(Buffer.alloc(301), Buffer.from("..x"));
  assert.equal(ready.write(Buffer.alloc(301), 301, into), 0);
});
