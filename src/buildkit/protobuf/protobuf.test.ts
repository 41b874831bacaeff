import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EngineError } from "../../base/errors.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { many, map, message, one } from "./message.ts";

const Inner = message({ name: one(1, "string"), size: one(2, "int") });
const Outer = message({
  text: one(1, "string"),
  raw: one(2, "bytes"),
  flag: one(3, "bool"),
  whole: one(4, "int"),
  time: one(5, "big"),
  inner: one(6, Inner),
  texts: many(7, "string"),
  numbers: many(8, "int"),
  inners: many(9, Inner),
  texted: map(10, "string"),
  innered: map(300, Inner),
});

const plain = { noNullPrototype: true };
const inner = fc.record({ name: fc.string(), size: fc.maxSafeInteger() }, plain);
const key = fc.string({ maxLength: 8 });
const outer = fc.record({
  text: fc.string({ unit: "grapheme" }),
  raw: fc.uint8Array(),
  flag: fc.boolean(),
  whole: fc.maxSafeInteger(),
  time: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  inner,
  texts: fc.array(fc.string()),
  numbers: fc.array(fc.maxSafeInteger()),
  inners: fc.array(inner),
  texted: fc.dictionary(key, fc.string(), plain),
  innered: fc.dictionary(key, inner, plain),
});

test("what is encoded is decoded to the same", () => {
  fc.assert(
    fc.property(outer, (value) => {
      const again = decode(Outer, encode(Outer, value));
      assert.deepEqual(
        { ...again, raw: Uint8Array.from(again.raw), texted: { ...again.texted }, innered: { ...again.innered } },
        {
          ...value,
          texted: { ...value.texted },
          innered: { ...value.innered },
        },
      );
    }),
  );
});

test("bytes are as the encoding's description has them", () => {
  const Known = message({ a: one(1, "int"), b: one(2, "string"), c: one(3, message({ a: one(1, "int") })) });
  assert.equal(encode(Known, { a: 150 }).toString("hex"), "089601");
  assert.equal(encode(Known, { b: "testing" }).toString("hex"), "120774657374696e67");
  assert.equal(encode(Known, { c: { a: 150 } }).toString("hex"), "1a03089601");
  assert.equal(encode(Known, { a: -1 }).toString("hex"), "08ffffffffffffffffff01");
  assert.equal(decode(Known, Buffer.from("08ffffffffffffffffff01", "hex")).a, -1);
});

test("missing fields have their defaults, unknown ones are skipped", () => {
  assert.deepEqual(decode(Inner, Buffer.from("1a0161290000000000000000350000000020051002", "hex")), {
    name: "",
    size: 2,
  });
  const { inner: missing, texts, flag } = decode(Outer, Buffer.alloc(0));
  assert.deepEqual([missing, texts, flag], [undefined, [], false]);
});

test("any bytes are a message or a clear error, soon", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decode(Outer, bytes);
      } catch (error) {
        assert.ok(error instanceof EngineError && error.kind === "invalid", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("items are counted through all that is within a message", () => {
  const Nest = message({ nests: many(1, Inner), map: map(2, Inner), numbers: many(3, "int"), one: one(4, Inner) });
  const repeated = (bytes: string, times: number) => Buffer.from(bytes.repeat(times), "hex");
  const packed = (count: number) => delimited(3, Buffer.alloc(count));
  for (const enough of [repeated("0a00", 100_000), repeated("1200", 100_000), packed(100_000)]) decode(Nest, enough);
  for (const many_ of [
    repeated("0a00", 100_001),
    repeated("1200", 100_001),
    packed(100_001),
    repeated("2200", 100_001),
  ])
    assert.throws(() => decode(Nest, many_), /more than 100000 items/);
});

function delimited(number: number, body: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = body.length; ; rest = Math.floor(rest / 128)) {
    length.push((rest % 128) + (rest > 127 ? 128 : 0));
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), body]);
}

test("an empty entry of a map costs about what an empty item does", () => {
  const Both = message({
    items: many(1, message({ key: one(1, "string"), value: one(2, "string") })),
    map: map(2, "string"),
  });
  const time = (bytes: string) => {
    const all = Buffer.from(bytes.repeat(100_000), "hex");
    const start = performance.now();
    decode(Both, all);
    return performance.now() - start;
  };
  const best = (bytes: string) => Math.min(...[1, 2, 3].map(() => time(bytes)));
  assert.ok(best("1200") < best("0a00") * 5);
});
