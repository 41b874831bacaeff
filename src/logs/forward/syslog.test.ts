import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openLogs } from "../open.ts";
import { LogWriter, SUBJECT, startForwarding, startReceiver, until } from "./forward-fixture.ts";

const syslog = (Config: Record<string, string>) => ({ Type: "syslog", Config });
const ID = SUBJECT.id.slice(0, 12);

test("Lines go over TCP in the form that was chosen, one after another", async (t) => {
  const when = new Date("2026-01-02T03:04:05Z");
  const clock = [when.getHours(), when.getMinutes(), when.getSeconds()].map((n) => String(n).padStart(2, "0"));
  const old = `Jan ${String(when.getDate()).padStart(2, " ")} ${clock.join(":")}`;
  const forms: [Record<string, string>, string, string][] = [
    [{}, `<30>${old} ${ID}[${process.pid}]: out\n`, `<27>${old} ${ID}[${process.pid}]: err\n`],
    [
      { "syslog-format": "rfc3164", "syslog-facility": "local3", tag: "{{.Name}}" },
      `<158>${old} ${hostname()} web[${process.pid}]: out\n`,
      `<155>${old} ${hostname()} web[${process.pid}]: err\n`,
    ],
    [
      { "syslog-format": "rfc5424" },
      `<30>1 2026-01-02T03:04:05Z ${hostname()} ${ID} ${process.pid} ${ID} - out\n`,
      `<27>1 2026-01-02T03:04:05Z ${hostname()} ${ID} ${process.pid} ${ID} - err\n`,
    ],
    [
      { "syslog-format": "rfc5424micro", "syslog-facility": "1" },
      `<14>1 2026-01-02T03:04:05.000001Z ${hostname()} ${ID} ${process.pid} ${ID} - out\n`,
      `<11>1 2026-01-02T03:04:05.000002Z ${hostname()} ${ID} ${process.pid} ${ID} - err\n`,
    ],
  ];
  for (const [options, out, err] of forms) {
    const receiver = await startReceiver(t);
    const writer = new LogWriter(t);
    writer.write("out\n");
    writer.write("err\n", "stderr");
    const config = syslog({ "syslog-address": `tcp://127.0.0.1:${receiver.address}`, ...options });
    startForwarding(t, writer, config);
    await until(() => receiver.text.length >= out.length + err.length);
    assert.equal(receiver.text, out + err);
  }
});

test("Each line is a datagram of its own over UDP", async (t) => {
  const socket = createSocket("udp4");
  t.after(() => socket.close());
  const received: string[] = [];
  socket.on("message", (message) => received.push(message.toString()));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const writer = new LogWriter(t);
  writer.lines(0, 3);
  startForwarding(t, writer, syslog({ "syslog-address": `udp://127.0.0.1:${socket.address().port}`, tag: "t" }));
  await until(() => received.length === 3);
  for (const [index, message] of received.entries())
    assert.match(message, new RegExp(`^<30>.* t\\[\\d+\\]: line ${index}$`));
});

test("A unix socket takes a stream", async (t) => {
  const writer = new LogWriter(t);
  const receiver = await startReceiver(t, { path: join(writer.folder, "syslog.sock") });
  writer.write("over\n");
  startForwarding(t, writer, syslog({ "syslog-address": `unix://${receiver.address}` }));
  await until(() => receiver.text.endsWith(": over\n"));
});

test("What makes no sense is refused in Docker's words", () => {
  const refused: [Record<string, string>, string][] = [
    [{ "syslog-address": "127.0.0.1:1" }, "syslog-address should be in form proto://address, got 127.0.0.1:1"],
    [{ "syslog-address": "carrier://pigeon" }, "unsupported scheme: carrier in syslog-address"],
    [{ "syslog-address": "tcp://host:99999" }, "invalid syslog-address: tcp://host:99999"],
    [
      { "syslog-address": "unix://relative" },
      "syslog-address needs the absolute path of a socket, of at most 107 bytes: unix://relative",
    ],
    [{ "syslog-facility": "wrong" }, "invalid syslog facility"],
    [{ "syslog-facility": "24" }, "invalid syslog facility"],
    [{ "syslog-format": "rfc1" }, "Invalid syslog format"],
    [{ "max-size": "1m" }, "unknown log opt 'max-size' for syslog log driver"],
    [{ "cache-max-size": "ten" }, "invalid size: 'ten'"],
  ];
  for (const [config, message] of refused)
    assert.throws(() => openLogs().sink(syslog(config), "/data", SUBJECT.id), { kind: "invalid", message });
});
