import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { hostname } from "node:os";
import { type TestContext, test } from "node:test";
import { gunzipSync, inflateSync } from "node:zlib";
import { openLogs } from "../open.ts";
import { LogWriter, SUBJECT, startForwarding, startReceiver, until } from "./forward-fixture.ts";

const gelf = (Config: Record<string, string>) => ({ Type: "gelf", Config });
const ID = SUBJECT.id.slice(0, 12);

const MESSAGE = {
  version: "1.1",
  host: hostname(),
  timestamp: 1767323045,
  _container_id: SUBJECT.id,
  _container_name: "web",
  _image_id: SUBJECT.imageId,
  _image_name: "example.com/web:1",
  _command: "serve",
  _created: "2026-01-01T00:00:00Z",
};

test("Lines go over TCP as objects with a zero byte after each, with what was chosen", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.write("out\n");
  writer.write("err\n", "stderr");
  const config = gelf({ "gelf-address": `tcp://127.0.0.1:${receiver.address}`, labels: "tier", tag: "{{.Name}}" });
  startForwarding(t, writer, config);
  await until(() => receiver.text.split("\0").length === 3);
  const [out = "", err = ""] = receiver.text.split("\0");
  const shared = { ...MESSAGE, _tier: "front", _tag: "web" };
  assert.deepEqual(JSON.parse(out), { ...shared, short_message: "out", level: 6 });
  assert.deepEqual(JSON.parse(err), { ...shared, short_message: "err", level: 3 });
});

test("Each line is a packed message over UDP, a long one in chunks", async (t) => {
  const long = Array.from({ length: 3000 }, (_, at) => at * 7919)
    .join(" ")
    .slice(0, 15_000);
  for (const [type, unpack] of [
    ["gzip", gunzipSync],
    ["zlib", inflateSync],
    ["none", (bytes: Buffer) => bytes],
  ] as const) {
    const { port, datagrams } = await receiveDatagrams(t);
    const writer = new LogWriter(t);
    writer.write("short\n");
    writer.write(`${long}\n`);
    startForwarding(t, writer, gelf({ "gelf-address": `udp://127.0.0.1:${port}`, "gelf-compression-type": type }));
    await until(() => datagrams.length > 1 && datagrams.length === 1 + (datagrams[1]?.[11] ?? 0));
    const [first = Buffer.alloc(0), ...parts] = datagrams;
    assert.deepEqual(JSON.parse(unpack(first).toString()), { ...MESSAGE, _tag: ID, short_message: "short", level: 6 });
    for (const [at, part] of parts.entries()) {
      assert.equal(part.readUInt16BE(0), 0x1e0f);
      assert.equal(part.toString("hex", 2, 10), parts[0]?.toString("hex", 2, 10));
      assert.deepEqual([part[10], part[11]], [at, parts.length]);
      assert.ok(part.length <= 1420);
    }
    const whole = unpack(Buffer.concat(parts.map((part) => part.subarray(12)))).toString();
    assert.equal((JSON.parse(whole) as { short_message: string }).short_message, long);
  }
});

test("What makes no sense is refused", () => {
  const udp = "udp://127.0.0.1:12201";
  const tcp = "tcp://127.0.0.1:12201";
  const refused: [Record<string, string>, RegExp][] = [
    [{}, /gelf-address is a required parameter/],
    [{ "gelf-address": "udp://127.0.0.1" }, /proto:\/\/host:port/],
    [{ "gelf-address": "127.0.0.1:1" }, /proto:\/\/address/],
    [{ "gelf-address": "http://127.0.0.1:1" }, /unsupported scheme: http/],
    [{ "gelf-address": udp, "gelf-compression-type": "rar" }, /unknown value "rar"/],
    [{ "gelf-address": udp, "gelf-compression-level": "10" }, /unknown value "10"/],
    [{ "gelf-address": tcp, "gelf-compression-type": "gzip" }, /gelf-compression-type is only supported on UDP/],
    [{ "gelf-address": udp, "gelf-tcp-max-reconnect": "3" }, /gelf-tcp-max-reconnect is only supported on TCP/],
    [{ "gelf-address": tcp, "gelf-tcp-reconnect-delay": "soon" }, /gelf-tcp-reconnect-delay/],
    [{ "gelf-address": tcp, "max-size": "1m" }, /unknown log opt 'max-size' for gelf log driver/],
  ];
  for (const [config, message] of refused)
    assert.throws(() => openLogs().sink(gelf(config), "/data", SUBJECT.id), { kind: "invalid", message });
});

test("A driver of a single vendor is refused with a hint at the way around", () => {
  for (const Type of ["awslogs", "gcplogs", "splunk"])
    assert.throws(() => openLogs().sink({ Type }, "/data", SUBJECT.id), {
      kind: "invalid",
      message: `logger: no log driver named '${Type}' is registered`,
      hint: /fluent-bit/,
    });
});

async function receiveDatagrams(t: TestContext): Promise<{ port: number; datagrams: Buffer[] }> {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  const datagrams: Buffer[] = [];
  socket.on("message", (message) => datagrams.push(message));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { port: socket.address().port, datagrams };
}
