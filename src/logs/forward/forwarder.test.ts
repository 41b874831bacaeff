/** That nothing is lost on the way to a service, whatever happens to it, to the log, and to us. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { numbered } from "../logs-fixture.ts";
import { openLogs } from "../open.ts";
import { LogWriter, SUBJECT, startForwarding, startReceiver, until } from "./forward-fixture.ts";

const config = (port: string, more: Record<string, string> = {}) => ({
  Type: "syslog",
  Config: { "syslog-address": `tcp://127.0.0.1:${port}`, ...more },
});

const linesIn = (text: string) => [...text.matchAll(/: (line \d+\n)/g)].map((match) => match[1]);

test("What was written before and what comes later arrive in order, and the end is the end", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.lines(0, 1000);
  const { end, logs } = startForwarding(t, writer, config(receiver.address));
  await until(() => linesIn(receiver.text).length === 1000);
  writer.lines(1000, 1100);
  end();
  await until(() => receiver.sockets.size === 0 && linesIn(receiver.text).length === 1100);
  assert.deepEqual(linesIn(receiver.text), numbered(0, 1100));
  await logs.close();
});

test("A service that is away is waited for, and gets everything when it comes back", async (t) => {
  const first = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.lines(0, 10);
  const { told } = startForwarding(t, writer, config(first.address));
  await until(() => linesIn(first.text).length === 10);
  await first.close();
  // It knows of the hang-up before it writes.
  await new Promise((resolve) => setTimeout(resolve, 50));
  writer.lines(10, 30);
  await until(() => told.length === 1);
  const second = await startReceiver(t, { port: Number(first.address) });
  await until(() => linesIn(second.text).length === 20);
  assert.deepEqual(linesIn(second.text), numbered(10, 30));
  assert.deepEqual(told, [
    "warn: a log service takes no lines; they wait on the disk",
    "info: a log service takes lines again",
  ]);
});

test("Another engine goes on where the last one stopped, also behind a rotation and a compression", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  const sent = async (count: number, during: () => void) => {
    const { logs } = startForwarding(t, writer, config(receiver.address));
    during();
    await until(() => linesIn(receiver.text).length === count);
    await logs.close();
  };
  await sent(10, () => writer.lines(0, 10));
  writer.lines(10, 20);
  renameSync(writer.path, `${writer.path}.1`);
  writer.lines(20, 30);
  await sent(30, () => {});
  writer.lines(30, 40);
  const { atime, mtime } = statSync(writer.path);
  rmSync(`${writer.path}.1`);
  writeFileSync(`${writer.path}.1.gz`, gzipSync(readFileSync(writer.path)));
  utimesSync(`${writer.path}.1.gz`, atime, mtime);
  rmSync(writer.path);
  writer.lines(40, 50);
  await sent(50, () => {});
  assert.deepEqual(linesIn(receiver.text), numbered(0, 50));
});

function rotate(path: string): void {
  for (let index = 20; index > 0; index--)
    if (existsSync(`${path}.${index}`)) renameSync(`${path}.${index}`, `${path}.${index + 1}`);
  renameSync(path, `${path}.1`);
}

test("Rotations under the way lose and double nothing", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  const { told } = startForwarding(t, writer, config(receiver.address));
  for (let round = 0; round < 30; round++) {
    writer.lines(round * 50, round * 50 + 50);
    if (round % 3 === 0) rotate(writer.path);
    if (round % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await until(() => linesIn(receiver.text).length >= 1500);
  assert.deepEqual(linesIn(receiver.text), numbered(0, 1500));
  assert.deepEqual(told, []);
});

test("What was rotated away before it could be sent is told", async (t) => {
  const writer = new LogWriter(t);
  const receiver = await startReceiver(t);
  writer.lines(0, 5);
  const first = startForwarding(t, writer, config(receiver.address));
  await until(() => linesIn(receiver.text).length === 5);
  await first.logs.close();
  rmSync(writer.path);
  writer.lines(10, 15);
  const { told } = startForwarding(t, writer, config(receiver.address));
  await until(() => linesIn(receiver.text).length === 10);
  assert.deepEqual(told, ["warn: lines were rotated away before their log service had them"]);
});

test("A further run goes on in the same log under its own tag", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.lines(0, 2);
  const { logs, end } = startForwarding(t, writer, config(receiver.address, { tag: "one" }));
  await until(() => linesIn(receiver.text).length === 2);
  end();
  const again = Promise.withResolvers<void>();
  logs.forward(config(receiver.address, { tag: "two" }), writer.folder, SUBJECT, again.promise);
  writer.lines(2, 4);
  await until(() => linesIn(receiver.text).length === 4);
  again.resolve();
  assert.match(receiver.text, /one\[\d+\]: line 1\n[\s\S]*two\[\d+\]: line 2\n/);
  assert.deepEqual(linesIn(receiver.text), numbered(0, 4));
});

test("A log that is removed gives its service what is left, and does not wait for one that is away", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  const here = startForwarding(t, writer, config(receiver.address));
  writer.lines(0, 100);
  here.end();
  await here.logs.remove(here.logs.sink(config(receiver.address), writer.folder, SUBJECT.id));
  await until(() => linesIn(receiver.text).length === 100);
  assert.deepEqual(linesIn(receiver.text), numbered(0, 100));
  assert.equal(existsSync(writer.path), false);
  assert.equal(existsSync(`${writer.path}.sent`), false);

  await receiver.close();
  const lost = new LogWriter(t);
  lost.lines(0, 1);
  const away = startForwarding(t, lost, config(receiver.address));
  await until(() => away.told.length > 0);
  away.end();
  await away.logs.remove(away.logs.sink(config(receiver.address), lost.folder, SUBJECT.id));
  assert.deepEqual(away.told.at(-1), "warn: a log is removed before its service had all of it");
});

test("The log on the disk is read like any other, unless the cache is disabled", async (t) => {
  const writer = new LogWriter(t);
  writer.lines(0, 2);
  const logs = openLogs();
  const options = { stdout: true, stderr: true, timestamps: false, framed: false };
  const chunks = await Array.fromAsync(logs.read(logs.sink(config("1"), writer.folder, SUBJECT.id), options));
  assert.equal(Buffer.concat(chunks).toString(), "line 0\nline 1\n");
  const disabled = logs.sink(config("1", { "cache-disabled": "true" }), writer.folder, SUBJECT.id);
  assert.throws(() => logs.read(disabled, options), { kind: "not-implemented" });
  const small = logs.sink(config("1", { "cache-max-size": "1m", "cache-max-file": "2" }), writer.folder, SUBJECT.id);
  assert.deepEqual([small.maxSize, small.maxFiles, small.compress], [1_000_000, 2, true]);
});

test("Lines that are torn, foreign or empty do no harm", async (t) => {
  const receiver = await startReceiver(t);
  const writer = new LogWriter(t);
  writer.write("\n");
  appendFileSync(writer.path, 'torn{"log":\nnot json\n');
  writer.lines(0, 3);
  startForwarding(t, writer, config(receiver.address, { "syslog-format": "rfc5424" }));
  await until(() => receiver.text.includes("line 2\n"));
  assert.equal(receiver.text.split("\n").length - 1, 4);
});
