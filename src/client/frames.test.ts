import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { demultiplex } from "./frames.ts";
import { jsonDocuments } from "./json-stream.ts";

const frame = (kind: number, data: string | Uint8Array) => {
  const body = Buffer.from(data);
  const header = Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
};

async function* cut(wire: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < wire.length; turn++) {
    const size = Math.max(1, sizes[turn % Math.max(1, sizes.length)] ?? wire.length);
    yield wire.subarray(at, at + size);
    at += size;
  }
}

async function streams(source: AsyncIterable<Buffer>): Promise<{ stdout: string; stderr: string }> {
  const heard = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  await demultiplex(source, { write: (stream, bytes) => void heard[stream].push(Buffer.from(bytes)) });
  return { stdout: Buffer.concat(heard.stdout).toString(), stderr: Buffer.concat(heard.stderr).toString() };
}

test("frames come apart the same wherever the connection cuts them", async () => {
  const pieces = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string({ maxLength: 30, unit: "grapheme-ascii" })));
  await fc.assert(
    fc.asyncProperty(pieces, fc.array(fc.integer({ min: 1, max: 13 })), async (frames, sizes) => {
      const wire = Buffer.concat(frames.map(([kind, text]) => frame(kind, text)));
      const of = (wanted: number) =>
        frames
          .filter(([kind]) => kind === wanted)
          .map(([, text]) => text)
          .join("");
      assert.deepEqual(await streams(cut(wire, sizes)), { stdout: of(1), stderr: of(2) });
    }),
  );
});

test("the daemon's own error in the stream is thrown after the output before it", async () => {
  const wire = Buffer.concat([frame(1, "out"), frame(3, "log driver broke")]);
  await assert.rejects(streams(cut(wire, [5])), /error from daemon in stream: log driver broke/);
});

test("what is no frame is refused", async () => {
  await assert.rejects(streams(cut(Buffer.from("plain text, no frames"), [])), /Unrecognized input header: 112/);
});

test("JSON documents come one by one, by lines or side by side, in pieces of any size", async () => {
  const documents = [{ a: 1 }, { b: '}"{' }, [1, [2]], { c: "ü" }];
  for (const separator of ["\n", "", "\r\n"])
    for (const size of [1, 2, 3, 100]) {
      const wire = Buffer.from(documents.map((one) => JSON.stringify(one)).join(separator));
      assert.deepEqual(await Array.fromAsync(jsonDocuments(cut(wire, [size]))), documents);
    }
});
