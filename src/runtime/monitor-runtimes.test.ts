/** The monitor under the real OCI runtimes. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { newId } from "../base/ids.ts";
import { mountTable } from "../kernel/mounts.ts";
import { type StartTaskOptions, startTask } from "./monitor.ts";
import { atEnd, BUSYBOX, collect, endTask, logText, makeBundle, temporaryFolder, unframe } from "./monitor-fixture.ts";
import type { Task } from "./runtime.ts";

const UNIFIED = "/sys/fs/cgroup/unified";
const hadUnified = isUnifiedMounted();

for (const name of ["crun", "runc"] as const) {
  const skip = whyNot(name);

  test(`Under ${name} a container runs, logs and ends`, { skip }, async (t) => {
    const dir = temporaryFolder(t);
    const task = await startContainer(name, dir, ["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert.equal((await task.exited).exitCode, 3);
    const json = readFileSync(join(dir, "log"), "utf8");
    assert.deepEqual([logText(json, "stdout"), logText(json, "stderr")], ["out\n", "err\n"]);
    await task.released;
    assert.equal(isUnifiedMounted(), hadUnified, "the host's cgroup tree stays mounted");
  });

  test(`Under ${name} input reaches the container and its end too`, { skip }, async (t) => {
    const task = await startContainer(name, temporaryFolder(t), ["cat"], { stdin: true, stdinOnce: true });
    const stream = await task.attach({ stdin: true });
    stream.input.end("hello");
    assert.equal(`${unframe(await collect(stream.output)).out}`, "hello");
    assert.equal((await task.exited).exitCode, 0);
  });

  test(`Under ${name} a terminal has its size from the start, is resized, and passes Ctrl-C on`, {
    skip,
  }, async (t) => {
    const script = "stty size; trap 'stty size; exit 9' INT; read line; echo ready; while true; do sleep 0.05; done";
    const options = { terminal: true, stdin: true, size: [33, 99] as const, hold: true };
    const task = await startContainer(name, temporaryFolder(t), ["sh", "-c", script], options);
    const stream = await task.attach({ stdin: true });
    task.proceed();
    let seen = "";
    for await (const bytes of stream.output) {
      const before = seen;
      seen += bytes;
      const now = (text: string) => seen.includes(text) && !before.includes(text);
      if (now("33 99\r\n")) await task.resize(40, 120);
      if (now("33 99\r\n")) stream.input.write("go\n");
      if (now("ready\r\n")) stream.input.write("\x03");
    }
    assert.equal(seen, "33 99\r\ngo\r\nready\r\n^C40 120\r\n");
    assert.equal((await task.exited).exitCode, 9);
  });

  test(`Under ${name} a program that does not exist is the runtime's own error, and nothing stays`, {
    skip,
  }, async (t) => {
    const dir = temporaryFolder(t);
    await assert.rejects(startContainer(name, dir, ["no-such-program"]), /no-such-program/);
    assert.equal(existsSync(join(dir, "exit")), false);
  });

  test(`Under ${name} an exec runs in the container beside its main process, whose end it does not await`, {
    skip,
  }, async (t) => {
    const dir = temporaryFolder(t);
    const container = await startContainer(name, dir, ["sleep", "60"]);
    const execDir = temporaryFolder(t);
    writeFileSync(
      join(execDir, "process.json"),
      JSON.stringify({ args: ["sh", "-c", "cat; exit 5"], env: ["PATH=/bin"], cwd: "/", user: { uid: 0, gid: 0 } }),
    );
    const task = await startTask({
      ...optionsFor(name, execDir),
      launch: [name, "exec", "--detach", "--process", "process.json", "--pid-file", "pid", container.id],
      cleanup: undefined,
      stdin: true,
      stdinOnce: true,
      log: { driver: "none" },
    });
    atEnd(execDir, () => endTask(task));
    const stream = await task.attach({ stdin: true });
    stream.input.end("through");
    assert.equal(`${unframe(await collect(stream.output)).out}`, "through");
    assert.equal((await task.exited).exitCode, 5);
    assert.ok(container.pid > 0);
  });
}

function isUnifiedMounted(): boolean {
  return mountTable().some(({ target }) => target === UNIFIED);
}

function whyNot(runtime: string): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  if (!existsSync(BUSYBOX)) return "needs a static busybox";
  const found = (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, runtime)));
  return found ? false : `needs ${runtime}`;
}

function optionsFor(runtime: "crun" | "runc", dir: string): StartTaskOptions {
  return {
    id: newId(),
    dir,
    launch: [],
    terminal: false,
    stdin: false,
    stdinOnce: false,
    hideUnified: runtime === "crun" && hadUnified,
    log: { driver: "json-file", path: join(dir, "log") },
  };
}

async function startContainer(
  runtime: "crun" | "runc",
  dir: string,
  args: readonly string[],
  more: Partial<StartTaskOptions> = {},
): Promise<Task> {
  const options = { ...optionsFor(runtime, dir), ...more };
  makeBundle(dir, args, options);
  const console = options.terminal ? ["--console-socket", "console.sock"] : [];
  const task = await startTask({
    ...options,
    launch: [runtime, "run", "--detach", "--bundle", ".", "--pid-file", "pid", ...console, options.id],
    cleanup: [runtime, "delete", "--force", options.id],
  });
  atEnd(dir, () => endTask(task));
  return task;
}
