/** What else may connect to a monitor's socket, and the checks of a whole run by sanitizers and valgrind. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pipe, run, spawn } from "../kernel/spawn.ts";
import { MONITOR_PATH, openTask, type StartTaskOptions } from "./monitor.ts";
import { collect, logText, startScript, temporaryFolder, unframe } from "./monitor-fixture.ts";
import { encodeRequest, OP } from "./monitor-wire.ts";

const NATIVE = new URL("../../native/", import.meta.url).pathname;

test("Only its owner can connect to a monitor", async (t) => {
  const dir = temporaryFolder(t);
  await startScript("exec sleep 60", { dir });
  assert.equal(statSync(join(dir, "m.sock")).mode & 0o777, 0o600);
});

test("Garbage, half requests, silence and thousands of connections disturb nobody", async (t) => {
  const dir = temporaryFolder(t);
  const task = await startScript("cat; echo done", { dir, stdin: true, stdinOnce: true });
  const stream = await task.attach({ stdin: true });
  await beHostile(dir, 2000);
  await task.kill(18);
  stream.input.end("still here\n");
  assert.equal(`${unframe(await collect(stream.output)).out}`, "still here\ndone\n");
  assert.equal((await task.exited).exitCode, 0);
});

test("Nothing is started for an engine that is gone before its monitor began", async (t) => {
  const dir = temporaryFolder(t);
  const [readEnd, writeEnd] = pipe();
  closeSync(readEnd);
  const launch = ["--launch", "2", "touch", "started"];
  const child = spawn({
    file: MONITOR_PATH,
    args: ["run", "--dir", dir, "--report", "3", ...launch],
    stdio: ["null", "null", "null", writeEnd],
  });
  closeSync(writeEnd);
  assert.deepEqual(await child.exited, { code: 1, signal: null });
  assert.equal(existsSync(join(dir, "started")), false);
});

test("An engine that dies while the runtime starts the task loses nothing: the next one finds it, and no hold remains", async (t) => {
  const dir = temporaryFolder(t);
  const [readEnd, writeEnd] = pipe();
  const script = "sleep 0.2; echo said before anyone came & exec sleep 60 <&- & echo $! >pid";
  const child = spawn({
    file: MONITOR_PATH,
    args: [
      "run",
      "--dir",
      dir,
      "--report",
      "3",
      "--hold",
      "--log-path",
      join(dir, "log"),
      "--launch",
      "3",
      "sh",
      "-c",
      script,
    ],
    stdio: ["null", "null", "null", writeEnd],
    session: true,
  });
  closeSync(writeEnd);
  while (!existsSync(join(dir, "m.sock"))) await sleep(1);
  await sleep(50);
  closeSync(readEnd);
  const found = await openTask("test", dir);
  assert.ok("task" in found);
  while (!readFileSync(join(dir, "log"), "utf8").includes("said before anyone came")) await sleep(5);
  await found.task.kill(9);
  assert.equal((await found.task.exited).exitCode, 137);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test("A command line that makes no sense is refused in words", async () => {
  const wrong: [string[], RegExp][] = [
    [[], /expected `run` or `runtime`/],
    [["run"], /missing --launch/],
    [["run", "--launch", "3", "a"], /too few words after --launch/],
    [["run", "--launch", "x"], /not a number, for --launch/],
    [["run", "--launch", "0"], /no command after --launch/],
    [["run", "--nonsense", "1"], /unknown option --nonsense/],
    [["run", "--dir"], /no value for --dir/],
    [["runtime", "--"], /no command/],
    [["runtime", "--", "/no/such"], /can't run \/no\/such/],
  ];
  for (const [args, message] of wrong) {
    const { code, stderr } = await run(MONITOR_PATH, args);
    assert.equal(code, 125);
    assert.match(stderr.toString(), message);
  }
});

test("The address and undefined-behaviour sanitizers find nothing in a monitor's life", async (t) => {
  await build("gantry-monitor-sanitized");
  const dir = temporaryFolder(t);
  const options = `log_path=${join(dir, "found")}:detect_leaks=0`;
  await liveALife(t, dir, {
    monitor: [join(NATIVE, "build/gantry-monitor-sanitized")],
    env: { PATH: "/usr/bin:/bin", ASAN_OPTIONS: options, UBSAN_OPTIONS: `${options}:print_stacktrace=1` },
  });
});

test("Valgrind finds nothing in a monitor's life", async (t) => {
  if (!existsSync("/usr/bin/valgrind")) {
    t.skip("needs valgrind");
    return;
  }
  await build("gantry-monitor-dynamic");
  const dir = temporaryFolder(t);
  const log = `--log-file=${join(dir, "found.%p")}`;
  const flags = [
    "--quiet",
    "--track-fds=no",
    "--trace-children=no",
    "--child-silent-after-fork=yes",
    "--error-exitcode=99",
  ];
  await liveALife(t, dir, {
    monitor: ["/usr/bin/valgrind", ...flags, log, join(NATIVE, "build/gantry-monitor-dynamic")],
  });
});

async function build(name: string): Promise<void> {
  const { code, stderr } = await run("make", ["-C", NATIVE, `build/${name}`], { timeoutMs: 120_000 });
  assert.equal(code, 0, stderr.toString());
}

/** Goes through what a monitor does; afterwards the folder holds no non-empty `found*` file. */
async function liveALife(t: TestContext, dir: string, options: Partial<StartTaskOptions>): Promise<void> {
  const lives = [aFailedLaunch, aRotatingLog, aSlowClient, aTalk, aKill];
  for (const [index, life] of lives.entries()) {
    const own = join(dir, `${index}`);
    mkdirSync(own);
    await life(own, { ...options, dir: own });
  }
  const found = readdirSync(dir).filter((name) => name.startsWith("found"));
  assert.equal(
    found
      .map((name) => readFileSync(join(dir, name), "utf8"))
      .join("")
      .slice(0, 2000),
    "",
  );
  t.diagnostic(`${lives.length} lives`);
}

type Options = Partial<StartTaskOptions> & { dir: string };

async function aFailedLaunch(_dir: string, options: Options): Promise<void> {
  await assert.rejects(startScript("", { ...options, launch: ["sh", "-c", "yes | head -c 30000 >&2; exit 3"] }), {
    kind: "internal",
  });
}

async function aRotatingLog(dir: string, options: Options): Promise<void> {
  const script = `i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; head -c 100000 /dev/urandom; head -c 50000 /dev/zero >&2`;
  const log = { driver: "json-file", path: join(dir, "log"), maxSize: 20_000, maxFiles: 3, compress: true } as const;
  const task = await startScript(script, { ...options, log });
  assert.equal((await task.exited).exitCode, 0);
  await task.released;
}

async function aSlowClient(_dir: string, options: Options): Promise<void> {
  const task = await startScript("exec tr '\\0' 'a\\n' </dev/zero", { ...options, hold: true, stallMs: 500 });
  const [slow, stuck] = [await task.attach(), await task.attach()];
  task.proceed();
  const received = collect(slow.output);
  await sleep(700);
  await task.kill(9);
  await task.exited;
  await received;
  stuck.close();
  await task.released;
}

async function aTalk(dir: string, options: Options): Promise<void> {
  const task = await startScript("cat", { ...options, stdin: true, stdinOnce: true });
  await beHostile(dir, 300);
  const stream = await task.attach({ stdin: true });
  const received = collect(stream.output);
  const text = "some words\n".repeat(50_000);
  stream.input.end(text);
  assert.equal(`${unframe(await received).out}`, text);
  await task.exited;
  await task.released;
  assert.equal(logText(readFileSync(join(dir, "log"), "utf8")), text);
}

async function aKill(_dir: string, options: Options): Promise<void> {
  const task = await startScript("printf unfinished; exec sleep 60", options);
  await assert.rejects(task.resize(1, 1), { kind: "conflict" });
  const stream = await task.attach();
  await task.kill(9);
  await collect(stream.output);
  assert.equal((await task.exited).signal, 9);
  await task.released;
}

/** Connects many times and misbehaves in turn; most hang up at once, some stay silent. */
async function beHostile(dir: string, times: number): Promise<void> {
  const path = join(dir, "m.sock");
  const stay: Socket[] = [];
  const manners: ((socket: Socket) => void)[] = [
    (socket) => socket.destroy(),
    (socket) => socket.end(randomBytes(100)),
    (socket) => socket.end(encodeRequest(OP.kill, { a: 0 }).subarray(0, 9)),
    (socket) => socket.end(encodeRequest(OP.kill, { a: 4000 })),
    (socket) => socket.end(encodeRequest(OP.watch)),
    (socket) => socket.end(encodeRequest(OP.reply)),
    (socket) => stay.push(socket),
    (socket) => {
      for (let i = 0; i < 50; i++) socket.write(encodeRequest(OP.resize, { a: 2 ** 31, b: 7 }));
      socket.destroySoon();
    },
    (socket) => {
      socket.write(encodeRequest(OP.attach, { flags: 254 }));
      socket.destroySoon();
    },
  ];
  for (let i = 0; i < times; i++) {
    const socket = connect(path);
    socket.on("error", () => {});
    await new Promise<void>((resolve) => socket.once("connect", resolve).once("close", () => resolve()));
    manners[i % manners.length]?.(socket);
    socket.resume();
  }
  for (const socket of stay) socket.destroy();
}
