import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openLogs } from "../open.ts";
import { LogWriter, SUBJECT, startForwarding, startReceiver, until } from "./forward-fixture.ts";
import { type Packed, pack } from "./msgpack.ts";

const fluentd = (Config: Record<string, string>) => ({ Type: "fluentd", Config });

/** The values in these bytes, as another reading of the specification has it; what is not whole yet is left. */
function unpackAll(bytes: Buffer): unknown[] {
  const values: unknown[] = [];
  let at = 0;
  const take = (count: number) => {
    if (at + count > bytes.length) throw new RangeError();
    at += count;
    return bytes.subarray(at - count, at);
  };
  const list = (count: number) => Array.from({ length: count }, value);
  const map = (count: number) =>
    Object.fromEntries(list(count * 2).flatMap((key, i, all) => (i % 2 ? [] : [[key, all[i + 1]]])));
  function value(): unknown {
    const head = take(1)[0] ?? 0;
    if (head < 0x80) return head;
    if (head < 0x90) return map(head & 15);
    if (head < 0xa0) return list(head & 15);
    if (head < 0xc0) return take(head & 31).toString();
    if (head === 0xce) return take(4).readUInt32BE();
    if (head === 0xd7) return `ext ${take(9).toString("hex")}`;
    if (head === 0xdb) return take(take(4).readUInt32BE()).toString();
    if (head === 0xdd) return list(take(4).readUInt32BE());
    if (head === 0xdf) return map(take(4).readUInt32BE());
    throw new Error(`a head of ${head.toString(16)}`);
  }
  try {
    while (at < bytes.length) values.push(value());
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return values;
}

type Message = [
  tag: string,
  records: [time: unknown, record: Record<string, string>][],
  option: Record<string, unknown>,
];
const messages = (text: string) => unpackAll(Buffer.from(text, "latin1")) as Message[];
const records = (text: string) => messages(text).flatMap(([, all]) => all.map(([, record]) => record));

test("Any value is packed as it is read", () => {
  const { packed } = fc.letrec<{ packed: Packed }>((tie) => ({
    packed: fc.oneof(
      { depthSize: "small" },
      fc.nat({ max: 2 ** 32 - 1 }),
      fc.string({ unit: "grapheme" }),
      fc.array(tie("packed")),
      fc.dictionary(fc.string({ unit: "grapheme", minLength: 1 }), tie("packed"), { noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(packed, (value) => assert.deepEqual(unpackAll(pack(value)), [JSON.parse(JSON.stringify(value))])),
    { numRuns: 200 },
  );
  assert.equal(pack("x".repeat(40)).length, 45);
});

test("Records have Docker's members, and what labels and variables add", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.write("out\n");
  writer.write("err\n", "stderr");
  const options = {
    "fluentd-address": `127.0.0.1:${receiver.address}`,
    tag: "docker.{{.Name}}",
    labels: "tier",
    env: "REGION",
  };
  startForwarding(t, writer, fluentd(options));
  await until(() => records(receiver.text).length === 2);
  const common = { container_id: SUBJECT.id, container_name: "/web", REGION: "eu", tier: "front" };
  const seconds = Date.parse("2026-01-02T03:04:05Z") / 1000;
  assert.deepEqual(messages(receiver.text), [
    [
      "docker.web",
      [
        [seconds, { ...common, source: "stdout", log: "out" }],
        [seconds, { ...common, source: "stderr", log: "err" }],
      ],
      { size: 2 },
    ],
  ]);
});

test("Times have nanoseconds where that is wished", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.write("out\n");
  const options = { "fluentd-address": `tcp://127.0.0.1:${receiver.address}`, "fluentd-sub-second-precision": "true" };
  startForwarding(t, writer, fluentd(options));
  await until(() => messages(receiver.text).length === 1);
  const seconds = (Date.parse("2026-01-02T03:04:05Z") / 1000).toString(16).padStart(8, "0");
  assert.equal(messages(receiver.text)[0]?.[1][0]?.[0], `ext 00${seconds}000003e8`);
});

test("Pieces of a long line say so", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.write("a".repeat(16384));
  writer.write("b".repeat(16384));
  writer.write("c\n");
  writer.write("whole\n");
  writer.write("the end without a feed");
  startForwarding(t, writer, fluentd({ "fluentd-address": `127.0.0.1:${receiver.address}` }));
  await until(() => records(receiver.text).length === 5);
  const all = records(receiver.text);
  assert.deepEqual(
    all.map(({ log = "", partial_message, partial_ordinal, partial_last }) => [
      log[0],
      partial_message,
      partial_ordinal,
      partial_last,
    ]),
    [
      ["a", "true", "1", "false"],
      ["b", "true", "2", "false"],
      ["c", "true", "3", "true"],
      ["w", undefined, undefined, undefined],
      ["t", undefined, undefined, undefined],
    ],
  );
  assert.equal(new Set(all.slice(0, 3).map(({ partial_id }) => partial_id)).size, 1);
});

test("With acknowledgements what was not acknowledged is sent again, and no more is sent before", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.lines(0, 3);
  let hungUp = 0;
  receiver.onData = (_, socket) => {
    const chunk = messages(receiver.text).at(-1)?.[2].chunk;
    if (hungUp++ === 0) socket.destroy();
    else if (typeof chunk === "string") socket.write(pack({ ack: chunk }));
  };
  const options = {
    "fluentd-address": `127.0.0.1:${receiver.address}`,
    "fluentd-request-ack": "true",
    "fluentd-retry-wait": "10ms",
  };
  const { told } = startForwarding(t, writer, fluentd(options));
  await until(() => told.length === 2);
  writer.lines(3, 4);
  await until(() => records(receiver.text).length === 7);
  assert.deepEqual(
    records(receiver.text).map(({ log }) => log),
    ["line 0", "line 1", "line 2", "line 0", "line 1", "line 2", "line 3"],
  );
  assert.match(told[0] ?? "", /takes no lines/);
});

test("After so many tries as were wished lines are given up, and that is told", async (t) => {
  const receiver = await startReceiver(t);
  await receiver.close();
  const writer = new LogWriter(t);
  writer.lines(0, 3);
  const options = {
    "fluentd-address": `127.0.0.1:${receiver.address}`,
    "fluentd-max-retries": "2",
    "fluentd-retry-wait": "1ms",
  };
  const { told } = startForwarding(t, writer, fluentd(options));
  await until(() => told.length === 2);
  assert.equal(told[1], "warn: lines were given up that their log service did not take");
});

test("What makes no sense is refused", () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ "fluentd-address": "udp://x" }, /unsupported scheme: udp in fluentd-address/],
    [{ "fluentd-address": "a/b" }, /invalid fluentd-address: a\/b/],
    [{ "fluentd-request-ack": "perhaps" }, /invalid value for fluentd-request-ack: "perhaps"/],
    [{ "fluentd-retry-wait": "soon" }, /invalid value for fluentd-retry-wait: "soon"/],
    [{ "fluentd-max-retries": "-1" }, /invalid value for fluentd-max-retries: "-1"/],
    [{ "fluentd-tag": "x" }, /unknown log opt 'fluentd-tag' for fluentd log driver/],
  ];
  for (const [config, message] of refused)
    assert.throws(() => openLogs().sink(fluentd(config), "/data", SUBJECT.id), { kind: "invalid", message });
});
