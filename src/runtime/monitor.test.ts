import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { mount, unmount } from "../kernel/mounts.ts";
import { type LaunchFailure, openTask } from "./monitor.ts";
import { atEnd, collect, logText, startScript, temporaryFolder, unframe } from "./monitor-fixture.ts";
import type { TaskNotice } from "./runtime.ts";

const MIB = 1 << 20;

test("A task's exit code, its streams and its times are recorded", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("echo out; echo err >&2; exit 7", { dir });
  assert.ok(task.pid > 0);
  const exit = await task.exited;
  assert.equal(exit.exitCode, 7);
  assert.equal(exit.signal, undefined);
  assert.equal(exit.oomKilled, false);
  assert.ok(exit.finishedAt >= task.startedAt);
  assert.equal(task.pid, 0);
  const lines = readFileSync(join(dir, "log"), "utf8").split("\n").filter(Boolean).sort();
  assert.match(
    lines[0] ?? "",
    /^\{"log":"err\\n","stream":"stderr","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"\}$/,
  );
  assert.match(lines[1] ?? "", /^\{"log":"out\\n","stream":"stdout","time":"[^"]+Z"\}$/);
  await task.released;
  assert.ok(existsSync(join(dir, "cleaned")));
});

test("A signal reaches the process, and the exit says which one ended it", async (t) => {
  const task = await startScript("exec sleep 60", { dir: temporaryFolder(t) });
  await task.kill(15);
  const exit = await task.exited;
  assert.deepEqual([exit.exitCode, exit.signal], [143, 15]);
  await assert.rejects(task.kill(15), { kind: "not-found" });
});

test("A runtime that fails is reported with its exit code and its words, and leaves no monitor", async (t) => {
  const dir = temporaryFolder(t);
  await assert.rejects(
    startScript("", { dir, launch: ["sh", "-c", "echo no such thing >&2; exit 3"] }),
    (error: Error) => {
      const cause = error.cause as LaunchFailure;
      assert.deepEqual([error.message, cause.exitCode, cause.output], ["no such thing", 3, "no such thing"]);
      return true;
    },
  );
  assert.deepEqual(await openTask("test", dir), { lost: true });
});

test("A runtime's log file is preferred to what it printed", async (t) => {
  const dir = temporaryFolder(t);
  const launch = ["sh", "-c", "echo printed >&2; echo written >log.txt; exit 1"];
  await assert.rejects(startScript("", { dir, launch, runtimeLog: "log.txt" }), { message: "written" });
});

test("A runtime that does not exist, leaves no pid, or a pid that is no process of its own, does no harm", async (t) => {
  const dir = temporaryFolder(t);
  await assert.rejects(startScript("", { dir, launch: ["/no/such/runtime"] }), /No such file or directory/);
  await assert.rejects(startScript("", { dir, launch: ["true"] }), /left no pid/);
  const stranger = await startScript("", { dir, launch: ["sh", "-c", "echo 1 >pid"] });
  assert.equal((await stranger.exited).exitCode, 255);
});

test("A folder that does not exist is an error", async (t) => {
  await assert.rejects(
    startScript("", { dir: join(temporaryFolder(t), "missing") }),
    /opening the bundle: No such file/,
  );
});

test("The process inherits no descriptor, no ignored signal and no blocked signal of the monitor's", async (t) => {
  const dir = temporaryFolder(t);
  const script = "ls /proc/self/fd >&2; exec grep -E '^Sig(Ign|Blk)' /proc/self/status";
  await (await startScript("", { dir, launch: ["sh", "-c", `sh -c "${script}" & echo $! >pid`] })).exited;
  const json = readFileSync(join(dir, "log"), "utf8");
  assert.equal(logText(json, "stderr"), "0\n1\n2\n3\n");
  const [blocked, ignored] = [...logText(json, "stdout").matchAll(/:\t([0-9a-f]+)/g)].map(([, set]) =>
    BigInt(`0x${set}`),
  );
  assert.equal(blocked, 0n);
  // The shell itself ignores SIGINT and SIGQUIT in what it starts in the background.
  assert.equal(ignored, 6n);
});

test("Streams that attach before the hold ends miss nothing", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("echo first; echo second >&2", { dir, hold: true, log: { driver: "none" } });
  const streams = await Promise.all([task.attach(), task.attach()]);
  task.proceed();
  for (const { output, logPosition } of streams) {
    const { out, err } = unframe(await collect(output));
    assert.deepEqual([`${out}`, `${err}`, logPosition], ["first\n", "second\n", { generation: 0, offset: 0 }]);
  }
  assert.equal((await task.exited).exitCode, 0);
});

test("The log up to where a stream began, and the stream, are together all of the output, whenever it began", async (t) => {
  const dir = temporaryFolder(t);
  const script = `i=0; while [ $i -lt 3000 ]; do echo line $i; printf 'part '; i=$((i+1)); done`;
  const task = await startScript(script, { dir });
  const streams = [];
  for (let i = 0; i < 12; i++) {
    const stream = await task.attach().catch(() => undefined);
    if (stream !== undefined) streams.push({ position: stream.logPosition, bytes: collect(stream.output) });
    await sleep(i % 3);
  }
  await task.exited;
  const json = readFileSync(join(dir, "log"));
  const all = logText(json.toString());
  assert.ok(streams.length > 0);
  for (const { position, bytes } of streams) {
    assert.equal(position.generation, statSync(join(dir, "log")).ino);
    const before = logText(json.subarray(0, position.offset).toString());
    assert.equal(before + unframe(await bytes).out, all);
  }
});

test("A stream of only stdout or only stderr leaves the other out, also when its reader is slow", async (t) => {
  const script = `for i in 1 2 3 4; do head -c ${MIB} /dev/zero | tr '\\0' 'o'; head -c ${MIB} /dev/zero | tr '\\0' 'e' >&2; done`;
  const task = await startScript(script, { dir: temporaryFolder(t), hold: true });
  const [out, err] = [await task.attach({ stderr: false }), await task.attach({ stdout: false })];
  task.proceed();
  await sleep(50);
  const [one, other] = (await Promise.all([collect(out.output), collect(err.output)])).map(unframe);
  assert.deepEqual([one?.out.length, one?.err.length, other?.out.length, other?.err.length], [4 * MIB, 0, 0, 4 * MIB]);
});

test("Standard input arrives whole however slowly the process reads, and ends with the first client that goes away", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("sleep 0.2; exec cat", {
    dir,
    stdin: true,
    stdinOnce: true,
    log: { driver: "none" },
  });
  const stream = await task.attach({ stdin: true });
  const data = randomBytes(3 << 20);
  const received = collect(stream.output);
  stream.input.end(data);
  assert.ok(unframe(await received).out.equals(data));
  assert.equal((await task.exited).exitCode, 0);
});

test("Standard input stays open for the next client unless it is for once, and what others send is dropped", async (t) => {
  const task = await startScript("read a; read b; echo $a $b", { dir: temporaryFolder(t), stdin: true });
  const watching = await task.attach();
  watching.input.write("not for you\n");
  const received = collect(watching.output);
  for (const word of ["one\n", "two\n"]) {
    const stream = await task.attach({ stdin: true });
    stream.input.end(word);
    await sleep(20);
    stream.close();
  }
  assert.equal(`${unframe(await received).out}`, "one two\n");
});

test("A process that closes its input does not disturb the client that sends more", async (t) => {
  const task = await startScript("exec <&-; sleep 0.1; echo done", { dir: temporaryFolder(t), stdin: true });
  const stream = await task.attach({ stdin: true });
  const received = collect(stream.output);
  stream.input.end(Buffer.alloc(2 << 20, "x"));
  assert.equal(`${unframe(await received).out}`, "done\n");
});

test("A slow client loses nothing, and neither it nor the log gets anything twice", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript(`head -c ${8 * MIB} /dev/zero | tr '\\0' 'a'`, { dir, hold: true });
  const [slow, fast] = [await task.attach(), await task.attach()];
  task.proceed();
  const fastBytes = collect(fast.output);
  await sleep(300);
  assert.equal(unframe(await collect(slow.output)).out.length, 8 * MIB);
  assert.equal(unframe(await fastBytes).out.length, 8 * MIB);
  await task.exited;
  assert.equal(logText(readFileSync(join(dir, "log"), "utf8")).length, 8 * MIB);
});

test("A client that takes nothing at all is cut off, and the others and the log get everything", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript(`head -c ${8 * MIB} /dev/zero | tr '\\0' 'a'`, { dir, hold: true, stallMs: 200 });
  const [stuck, other] = [await task.attach(), await task.attach()];
  task.proceed();
  assert.equal(unframe(await collect(other.output)).out.length, 8 * MIB);
  await task.exited;
  assert.equal(logText(readFileSync(join(dir, "log"), "utf8")).length, 8 * MIB);
  stuck.close();
});

test("The exit is reported at once although a client is behind, and the client still gets the rest", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("echo begin >&2; exec tr '\\0' 'a' </dev/zero", { dir, hold: true });
  const slow = await task.attach();
  task.proceed();
  await sleep(200);
  await task.kill(9);
  await task.exited;
  await task.released;
  const log = readFileSync(join(dir, "log"), "utf8");
  const { out, err } = unframe(await collect(slow.output));
  assert.deepEqual([`${out}`, `${err}`], [logText(log, "stdout"), "begin\n"]);
});

test("A descendant that keeps the output open does not hold the exit back", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("sleep 5 & echo hi", { dir });
  const exit = await task.exited;
  assert.equal(exit.exitCode, 0);
  assert.ok(Date.now() - Date.parse(exit.finishedAt) < 4000);
  assert.equal(logText(readFileSync(join(dir, "log"), "utf8")), "hi\n");
});

test("Lines are escaped as Docker does it, and long ones come in pieces that cut no character apart", async (t) => {
  const dir = temporaryFolder(t);
  const awkward = Buffer.from('tab\t "quote" back\\slash <&> \r \x01 \x7f é 漢 😀 \u2028\u2029 ', "utf8");
  const invalid = Buffer.from([0xff, 0xc0, 0x80, 0xe2, 0x82, 0x20, 0xed, 0xa0, 0x80, 0x0a]);
  writeFileSync(join(dir, "data"), Buffer.concat([awkward, invalid, Buffer.from(`${"é".repeat(20000)}x\nlast`)]));
  await (await startScript("exec cat data", { dir })).exited;
  const [first = "", ...rest] = readFileSync(join(dir, "log"), "utf8").split("\n").filter(Boolean);
  const text = String.raw`tab\u0009 \"quote\" back\\slash \u003c\u0026\u003e \r \u0001 ${"\x7f"} é 漢 😀 \u2028\u2029 `;
  const bad = String.raw`\ufffd\ufffd\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd\n`;
  assert.ok(first.startsWith(`{"log":"${text}${bad}","stream":"stdout"`), first);
  const pieces = rest.map((line) => (JSON.parse(line) as { log: string }).log);
  assert.deepEqual(
    pieces.map((piece) => Buffer.byteLength(piece)),
    [16384, 16384, 40000 + 2 - 2 * 16384, 4],
  );
  assert.equal(pieces.join(""), `${"é".repeat(20000)}x\nlast`);
});

test("A log rotates by size without losing a line, compresses what is old, and keeps as many files as it may", async (t) => {
  const dir = temporaryFolder(t);
  const path = join(dir, "log");
  const script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done";
  const log = { driver: "json-file", path, maxSize: 20_000, maxFiles: 20, compress: true } as const;
  const task = await startScript(script, { dir, log });
  await task.exited;
  await task.released;
  while (existsSync(`${path}.gz.tmp`) || existsSync(`${path}.1`)) await sleep(10);
  const files = readdirSync(dir).filter((name) => name.startsWith("log."));
  assert.ok(files.length >= 7 && files.every((name) => name.endsWith(".gz")), files.join());
  const rotated = files
    .sort((a, b) => Number(b.split(".")[1]) - Number(a.split(".")[1]))
    .map((name) => gunzipSync(readFileSync(join(dir, name))));
  assert.ok(rotated.every((content) => content.length <= 20_000));
  const expected = Array.from({ length: 2000 }, (_, i) => `line ${i}\n`).join("");
  assert.equal(logText(Buffer.concat([...rotated, readFileSync(path)]).toString()), expected);
});

test("With one file a log starts over, with three it keeps three", async (t) => {
  for (const maxFiles of [1, 3]) {
    const dir = temporaryFolder(t);
    const script = "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done";
    const log = { driver: "json-file", path: join(dir, "log"), maxSize: 8000, maxFiles } as const;
    await (await startScript(script, { dir, log })).exited;
    const files = readdirSync(dir).filter((name) => name.startsWith("log"));
    assert.equal(files.length, maxFiles);
    for (const name of files) assert.ok(statSync(join(dir, name)).size <= 8000);
    assert.match(readFileSync(join(dir, "log"), "utf8"), /line 999\\n/);
  }
});

test("A log whose last line was torn goes on with a line of its own", async (t) => {
  const dir = temporaryFolder(t);
  writeFileSync(join(dir, "log"), '{"log":"whole\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n{"log":"to');
  await (await startScript("echo more", { dir })).exited;
  const lines = readFileSync(join(dir, "log"), "utf8").split("\n");
  assert.equal(lines[1], '{"log":"to');
  assert.match(lines[2] ?? "", /^\{"log":"more\\n"/);
});

test("A full disk costs lines, not the task, and what comes later is whole", async (t) => {
  const dir = temporaryFolder(t);
  const small = join(dir, "small");
  mkdirSync(small);
  try {
    mount({ source: "tmpfs", target: small, type: "tmpfs", data: "size=64k" });
  } catch {
    t.skip("needs the right to mount");
    return;
  }
  atEnd(dir, () => unmount(small, { detach: true }));
  const script = `head -c 200000 /dev/zero | tr '\\0' 'a'; while [ ! -e ${dir}/go ]; do sleep 0.02; done; echo after`;
  const path = join(small, "log");
  const task = await startScript(script, { dir, hold: true, log: { driver: "json-file", path } });
  const { output, close } = await task.attach();
  task.proceed();
  // What a client has was offered to the log before.
  for (let seen = 0; seen < 200_000; ) seen += ((await once(output, "data"))[0] as Buffer).length;
  close();
  assert.equal(statSync(path).size, 65536);
  writeFileSync(path, "");
  writeFileSync(join(dir, "go"), "");
  assert.equal((await task.exited).exitCode, 0);
  const text = readFileSync(path, "utf8");
  assert.match(text, /\n\{"log":"[a]*after\\n","stream":"stdout","time":"[^"]+"\}\n$/);
  assert.match(logText(text, "stderr"), /^\[gantry\] \d+ lines? (is|are) missing here: No space left on device\n$/);
});

test("A disk that takes nothing holds up the task, or in non-blocking mode costs lines that the log counts", async (t) => {
  const dir = temporaryFolder(t);
  const path = join(dir, "pipe");
  execFileSync("mkfifo", [path]);
  const disk = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  atEnd(dir, () => closeSync(disk));
  const log = { driver: "json-file", path, buffer: 100_000 } as const;
  const script = `i=0; while [ $i -lt 8000 ]; do echo line $i; i=$((i+1)); done; echo >${dir}/written; read x; echo last`;
  const task = await startScript(script, { dir, log, stdin: true });
  const notices: TaskNotice[] = [];
  task.listen((notice) => notices.push(notice));
  while (!existsSync(join(dir, "written"))) await sleep(5);
  while (notices.length === 0) await sleep(5);
  assert.equal(notices[0]?.kind === "log-lost" && notices[0].reason, "the disk could not keep up");
  let text = "";
  const drainUntil = async (done: () => boolean) => {
    const bytes = Buffer.alloc(1 << 20);
    while (!done())
      try {
        text += bytes.toString("utf8", 0, readSync(disk, bytes));
      } catch {
        await sleep(5);
      }
  };
  const count = (pattern: RegExp) => [...text.matchAll(pattern)].reduce((sum, match) => sum + Number(match[1] ?? 1), 0);
  await drainUntil(() => count(/"line \d+\\n/g) + count(/\[gantry\] (\d+) lines?/g) === 8000);
  const { input } = await task.attach({ stdin: true });
  input.write("\n");
  await drainUntil(() => text.includes("last"));
  assert.ok(count(/"line \d+\\n/g) > 500);
  await task.exited;
  assert.equal(
    notices.reduce((sum, notice) => sum + (notice.kind === "log-lost" ? notice.lines : 0), 0),
    count(/\[gantry\] (\d+) lines?/g),
  );
  assert.match(text, /\[gantry\] \d+ lines? (is|are) missing here: the disk could not keep up\\n","stream":"stderr"/);
  assert.match(text, /"last\\n","stream":"stdout","time":"[^"]+"\}\n$/);
});

test("In non-blocking mode a log rotates and compresses, and nothing is missing where the disk keeps up", async (t) => {
  const dir = temporaryFolder(t);
  const path = join(dir, "log");
  const log = { driver: "json-file", path, maxSize: 50_000, maxFiles: 100, compress: true, buffer: 8 << 20 } as const;
  const task = await startScript("i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done", { dir, log });
  await task.exited;
  await task.released;
  while (readdirSync(dir).some((name) => /\.\d+$|tmp$/.test(name))) await sleep(10);
  const files = readdirSync(dir)
    .filter((name) => name.startsWith("log"))
    .sort((a, b) => Number(/\d+/.exec(b)?.[0] ?? 0) - Number(/\d+/.exec(a)?.[0] ?? 0));
  assert.ok(files.length > 5);
  const text = files.map((name) => readFileSync(join(dir, name)));
  const plain = text
    .map((bytes, index) => (files[index]?.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString())
    .join("");
  assert.equal(logText(plain), Array.from({ length: 5000 }, (_, i) => `line ${i}\n`).join(""));
});

test("An out-of-memory kill is read from either kind of cgroup file", async (t) => {
  for (const [content, expected] of [
    ["oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", true],
    ["low 0\nhigh 0\nmax 12\noom 3\noom_kill 0\n", false],
    ["low 0\nmax 1\noom_kill 12\noom_group_kill 0\n", true],
  ] as const) {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "events"), content);
    const task = await startScript("true", { dir, oomFile: join(dir, "events") });
    assert.equal((await task.exited).oomKilled, expected);
  }
});

test("Another engine process finds a task again: running, ended, or lost", async (t) => {
  const dir = temporaryFolder(t);
  assert.deepEqual(await openTask("test", dir), { lost: true });
  const task = await startScript("exec sleep 60", { dir });
  const pid = task.pid;
  task.release();
  const found = await openTask("test", dir);
  assert.ok("task" in found);
  assert.deepEqual([found.task.pid, found.task.startedAt], [pid, task.startedAt]);
  await found.task.kill(9);
  const exit = await found.task.exited;
  assert.equal(exit.exitCode, 137);
  await found.task.released;
  let later = await openTask("test", dir);
  while ("task" in later) later = await openTask("test", dir);
  assert.deepEqual(later, { exit });
});

test("When the monitor is killed the task counts as lost, and the engine cleans up in its place", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("exec sleep 60", { dir });
  const { pid } = task;
  atEnd(dir, () => process.kill(pid, 9));
  process.kill(parentOf(pid), 9);
  assert.equal((await task.exited).exitCode, 255);
  await task.released;
  assert.ok(existsSync(join(dir, "cleaned")));
});

function parentOf(pid: number): number {
  return Number(
    readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")[1],
  );
}

test("A monitor that waits has less than half a megabyte of its pages in memory", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("echo word; sleep 60", { dir });
  const monitor = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${task.pid}/status`, "utf8"))?.[1];
  const resident = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${monitor}/status`, "utf8"))?.[1]);
  // It lets go of what it does not need a second after it did something.
  for (let attempt = 0; resident() >= 512 && attempt < 200; attempt++) await sleep(50);
  assert.ok(resident() < 512, `${resident()} KiB`);
  // And does its work as before.
  await task.kill(15);
  assert.equal((await task.exited).exitCode, 143);
  assert.equal(logText(readFileSync(join(dir, "log"), "utf8")), "word\n");
});
