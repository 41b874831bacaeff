import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { EVERYTHING, entry, numbered, readAll, temporarySink } from "./logs-fixture.ts";
import { openLogs } from "./open.ts";

test("A log that was never written is empty", async (t) => {
  assert.equal(await readAll(temporarySink(t)), "");
});

test("Whatever was logged is read back, byte for byte", async (t) => {
  const sink = temporarySink(t);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: "binary", maxLength: 60 })), async (lines) => {
      writeFileSync(sink.path, lines.map((line) => entry(line)).join(""));
      assert.equal(await readAll(sink), Buffer.from(lines.join("")).toString());
    }),
    { numRuns: 200 },
  );
});

test("Chunks that share their memory hold the same bytes as ones that do not", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(
    sink.path,
    numbered(0, 50_000)
      .map((line, at) => entry(line, { at }))
      .join(""),
  );
  const memory = new Set<ArrayBufferLike>();
  const parts: string[] = [];
  for await (const chunk of openLogs().read(sink, { ...EVERYTHING, reuse: true })) {
    memory.add(chunk.buffer);
    parts.push(Buffer.from(chunk).toString());
  }
  assert.equal(parts.join(""), numbered(0, 50_000).join(""));
  assert.ok(parts.length > 2 && memory.size === 1, `${parts.length} chunks in ${memory.size} buffers`);
});

test("The streams are told apart, framed, and stamped with nine digits", async (t) => {
  const sink = temporarySink(t);
  const err = '{"log":"oops\\n","stream":"stderr","time":"2026-01-02T03:04:05.06Z"}\n';
  writeFileSync(sink.path, entry("fine\n", { at: 1 }) + err);
  assert.equal(await readAll(sink, { stderr: false }), "fine\n");
  assert.equal(await readAll(sink, { stdout: false, timestamps: true }), "2026-01-02T03:04:05.060000000Z oops\n");
  assert.equal(await readAll(sink, { framed: true }), "\x01\0\0\0\0\0\0\x05fine\n\x02\0\0\0\0\0\0\x05oops\n");
});

test("A tail counts lines from the end over all files, compressed ones too", async (t) => {
  const sink = temporarySink(t);
  const lines = (from: number, to: number) =>
    numbered(from, to)
      .map((line) => entry(line))
      .join("");
  writeFileSync(`${sink.path}.2.gz`, gzipSync(lines(0, 1000)));
  writeFileSync(`${sink.path}.1`, lines(1000, 3000));
  writeFileSync(sink.path, lines(3000, 3005));
  for (const tail of [0, 1, 4, 5, 6, 2005, 2006, 3004, 3005, 9999])
    assert.equal(await readAll(sink, { tail }), numbered(Math.max(0, 3005 - tail), 3005).join(""), `tail ${tail}`);
  assert.equal(await readAll(sink), numbered(0, 3005).join(""));
});

test("Since and until are inclusive, and reading stops at the first line past until", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(sink.path, [10, 20, 30, 40, 20].map((at) => entry(`${at}\n`, { at })).join(""));
  assert.equal(await readAll(sink, { since: 20_000_000_000n, until: 30_000_000_000n }), "20\n30\n");
  assert.equal(await readAll(sink, { since: 20_000_000_001n }), "30\n40\n");
  assert.equal(await readAll(sink, { tail: 2, since: 30_000_000_000n }), "40\n");
});

test("Torn, foreign and oversized lines are passed over; other writers' spacing, order and attributes are not", async (t) => {
  const sink = temporarySink(t);
  const good = [
    ' { "time" : "2026-01-02T03:04:05Z" , "attrs" : {"a":["}",1]} , "stream" : "stdout" , "log" : "spaced\\n" } \n',
    '{"log":"attributes\\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-01-02T03:04:05Z"}\n',
  ];
  const bad = [
    '{"log":"tor\n',
    '{"log":"half"\n',
    "not json\n",
    "\n",
    "{}\n",
    '{"log":7}\n',
    '{"log":"bad \\x escape","stream":"stdout","time":"2026-01-02T03:04:05Z"}\n',
    `${"x".repeat(5 << 20)}\n`,
  ];
  writeFileSync(sink.path, `${bad.join("")}${good.join("")}${bad.join("")}${entry("last\n")}{"log":"torn`);
  assert.equal(await readAll(sink), "spaced\nattributes\nlast\n");
});

test("Lines of every length come through whole, also where chunks of the file meet", async (t) => {
  const sink = temporarySink(t);
  const lines = Array.from({ length: 400 }, (_, i) => `${"ab".repeat((i * 7919) % 8192)}\n`);
  writeFileSync(sink.path, lines.map((line) => entry(line)).join(""));
  assert.ok(statSync(sink.path).size > 3 << 20);
  assert.equal(await readAll(sink), lines.join(""));
});

test("A position ends the reading, also after its file was rotated", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(sink.path, entry("before\n"));
  const { ino: generation, size: offset } = statSync(sink.path);
  appendFileSync(sink.path, entry("after\n"));
  assert.equal(await readAll(sink, { end: { generation, offset } }), "before\n");
  renameSync(sink.path, `${sink.path}.1`);
  writeFileSync(sink.path, entry("much later\n"));
  assert.equal(await readAll(sink, { end: { generation, offset } }), "before\n");
  assert.equal(await readAll(sink, { end: { generation: 0, offset: 0 } }), "before\nafter\n");
});

test("A compressed file that was cut off gives what it has", async (t) => {
  const sink = temporarySink(t);
  const whole = gzipSync(Array.from({ length: 5000 }, (_, i) => entry(`${Math.sin(i)}\n`)).join(""));
  writeFileSync(`${sink.path}.1.gz`, whole.subarray(0, whole.length / 2));
  writeFileSync(sink.path, entry("current\n"));
  assert.match(await readAll(sink), /^0\n[\s\S]*\ncurrent\n$/);
});

test("Removing a log removes its files and nothing else", async (t) => {
  const sink = temporarySink(t);
  const own = ["", ".1", ".2.gz", ".gz.tmp"].map((suffix) => sink.path + suffix);
  const others = [`${sink.path}.other`, `${sink.path}2`, `${dirname(sink.path)}/hosts`];
  for (const path of [...own, ...others]) writeFileSync(path, "x");
  mkdirSync(`${dirname(sink.path)}/mounts`);
  await openLogs().remove(sink);
  await openLogs().remove(sink);
  assert.deepEqual(own.filter(existsSync), []);
  assert.deepEqual(others.filter(existsSync), others);
  assert.equal(readFileSync(`${sink.path}2`, "utf8"), "x");
  openLogs().remove({ driver: "json-file", path: "/no/such/folder/log" });
});
