import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatusResponse } from "../wire/control.ts";
import { Progress } from "./progress.ts";

const never = new AbortController().signal;

const log = (text: string): StatusResponse => ({ logs: [{ vertex: "v", stream: 1, msg: Buffer.from(text) }] });
const logOf = (parts: readonly StatusResponse[]): string =>
  parts
    .flatMap(({ logs = [] }) => logs)
    .map(({ msg }) => Buffer.from(msg ?? []).toString())
    .join("");

test("every reader gets all, in order, and the end; who comes late begins with what is known", async () => {
  const progress = new Progress("one");
  const first = Array.fromAsync(progress.read(never));
  progress.tell({ vertexes: [{ digest: "v", name: "step" }] });
  progress.tell(log("a"));
  await new Promise(setImmediate);
  const second = Array.fromAsync(progress.read(never));
  progress.tell(log("b"));
  progress.tell({ vertexes: [{ digest: "v", name: "step", cached: true }] });
  progress.end();
  for (const parts of [await first, await second]) {
    assert.equal(logOf(parts), "ab");
    assert.equal(parts.flatMap(({ vertexes = [] }) => vertexes).at(-1)?.cached, true);
  }
});

test("what nobody reads stays small: a vertex is its last state, of the log the end is kept", async () => {
  const progress = new Progress("one");
  const reader = progress.read(never);
  const began = reader.next();
  for (let at = 0; at < 2000; at++) {
    progress.tell({ vertexes: [{ digest: "v", name: `state ${at}` }] });
    progress.tell(log(`${at} ${"x".repeat(10_000)}\n`));
  }
  progress.end();
  const parts = [(await began).value as StatusResponse, ...(await Array.fromAsync(reader))];
  assert.ok(parts.flatMap(({ vertexes = [] }) => vertexes).length < 5);
  const text = logOf(parts);
  assert.ok(text.length < 3 << 20);
  assert.match(text, /earlier output was left out/);
  assert.ok(text.includes("\n1999 x"));
  const late = logOf(await Array.fromAsync(progress.read(never)));
  assert.ok(late.length < 128 << 10 && late.includes("\n1999 x"));
});

test("vertices of two builds are different, though they do the same", async () => {
  const digests = await Promise.all(
    ["one", "two"].map(async (build) => {
      const progress = new Progress(build);
      progress.tell({ vertexes: [{ digest: "v", inputs: ["w"], name: "step" }] });
      progress.end();
      const [part] = await Array.fromAsync(progress.read(never));
      return part?.vertexes?.[0]?.digest;
    }),
  );
  assert.notEqual(digests[0], digests[1]);
});

test("a reader that goes stops at once", async () => {
  const gone = new AbortController();
  const reading = Array.fromAsync(new Progress("one").read(gone.signal));
  gone.abort();
  assert.deepEqual(await reading, []);
});
