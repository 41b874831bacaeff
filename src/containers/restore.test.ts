/** Engines that end, with and without notice, and the ones that come after them. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createBusybox, FakeClient, logText, runToEnd, startEngine } from "../testing/engine-harness.ts";

const policy = (Name: string) => ({ HostConfig: { RestartPolicy: { Name, MaximumRetryCount: 0 } } });

test("a running container is found again, with its log, and can be stopped", async (t) => {
  const test = await startEngine(t);
  const id = await createBusybox(test.engine, ["sh", "-c", "echo one; read x; echo $x"], { OpenStdin: true });
  await test.engine.containers.start(id);
  const { Pid } = (await test.engine.containers.inspect(id, { size: false })).State;
  await test.restart();
  const { containers } = test.engine;
  const { State } = await containers.inspect(id, { size: false });
  assert.deepEqual([State.Running, State.Pid], [true, Pid]);
  const client = new FakeClient();
  const attached = (
    await containers.attach(id, { stdin: true, stdout: true, stderr: true, logs: true, stream: true })
  ).run(client.end);
  const ended = (await containers.wait(id, "next-exit")).result;
  client.send("two\n");
  assert.equal((await ended).StatusCode, 0);
  await attached;
  assert.equal(await logText(test.engine, id), "one\ntwo\n");
});

test("an exit that nobody saw is seen afterwards, and what follows from it is done", async (t) => {
  const test = await startEngine(t);
  const { engine } = test;
  const plain = await createBusybox(engine, ["sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; exit 6"]);
  const again = await createBusybox(engine, ["sleep", "100"], policy("always"));
  const gone = await createBusybox(engine, ["sleep", "100"], { HostConfig: { AutoRemove: true } });
  const pids = new Map<string, number>();
  for (const id of [plain, again, gone]) {
    await engine.containers.start(id);
    pids.set(id, (await engine.containers.inspect(id, { size: false })).State.Pid);
  }
  await test.restart(async () => {
    const pid = pids.get(plain) ?? 0;
    writeFileSync(`/proc/${pid}/root/go`, "");
    for (const id of [again, gone]) process.kill(pids.get(id) ?? 0, 9);
    for (const id of [plain, again, gone])
      await until(() => readdirSync(join(test.execRoot, "containers", id)).includes("exit"));
  });
  const { containers } = test.engine;
  const { State } = await containers.inspect(plain, { size: false });
  assert.deepEqual([State.Status, State.ExitCode], ["exited", 6]);
  await until(async () => (await containers.inspect(again, { size: false })).State.Status === "running");
  assert.equal((await containers.inspect(again, { size: false })).RestartCount, 1);
  await until(async () => (await containers.list({ all: true, size: false, filters: { id: [gone] } })).length === 0);
});

test("a container whose monitor vanished is lost, and can be started again", async (t) => {
  const test = await startEngine(t);
  const id = await createBusybox(test.engine, ["sleep", "100"]);
  await test.engine.containers.start(id);
  const { Pid } = (await test.engine.containers.inspect(id, { size: false })).State;
  await test.restart(async () => {
    const monitor = parentOf(Pid);
    process.kill(monitor, 9);
    await until(() => !alive(monitor));
  });
  const { containers } = test.engine;
  const { State } = await containers.inspect(id, { size: false });
  assert.deepEqual([State.Status, State.ExitCode], ["exited", 255]);
  await until(() => !alive(Pid));
  await containers.start(id);
  assert.equal((await containers.inspect(id, { size: false })).State.Running, true);
});

test("a paused container is still paused", async (t) => {
  const test = await startEngine(t);
  const id = await createBusybox(test.engine, ["sleep", "100"]);
  await test.engine.containers.start(id);
  await test.engine.containers.pause(id);
  await test.restart();
  assert.equal((await test.engine.containers.inspect(id, { size: false })).State.Status, "paused");
  await test.engine.containers.unpause(id);
  await test.engine.containers.stop(id, { timeout: 0 });
});

test("policies start containers with the engine, as they say", async (t) => {
  const test = await startEngine(t);
  const { engine } = test;
  const ids = new Map<string, string>();
  for (const name of ["always", "unless-stopped"]) {
    const id = await createBusybox(engine, ["sleep", "100"], { name, ...policy(name) });
    await engine.containers.start(id);
    await engine.containers.stop(id, { timeout: 0 });
    ids.set(name, id);
  }
  await createBusybox(engine, ["sleep", "100"], { name: "never-started", ...policy("always") });
  await test.restart();
  const { containers } = test.engine;
  const status = async (name: string) => (await containers.inspect(name, { size: false })).State.Status;
  await until(async () => (await status("always")) === "running");
  assert.equal(await status("unless-stopped"), "exited");
  assert.equal(await status("never-started"), "created");
});

test("containers that end with their engine come back with the next one, as their policies say", async (t) => {
  const test = await startEngine(t);
  const { engine } = test;
  const trap = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"];
  for (const name of ["always", "unless-stopped", "on-failure", "no"]) {
    const id = await createBusybox(engine, trap, { name, ...policy(name) });
    await engine.containers.start(id);
  }
  const removed = await createBusybox(engine, trap, { name: "removed", HostConfig: { AutoRemove: true } });
  await engine.containers.start(removed);
  const stubborn = await createBusybox(engine, ["sleep", "100"], {
    name: "stubborn",
    ...policy("on-failure"),
    StopTimeout: 0,
  });
  await engine.containers.start(stubborn);
  await engine.containers.stopAll({ timeout: 10 });
  assert.deepEqual(await engine.containers.list({ all: false, size: false, filters: {} }), []);
  await test.restart();
  const { containers } = test.engine;
  const status = async (name: string) => (await containers.inspect(name, { size: false })).State.Status;
  for (const name of ["always", "unless-stopped", "stubborn"])
    await until(async () => (await status(name)) === "running");
  for (const name of ["on-failure", "no"]) assert.equal(await status(name), "exited", name);
  await until(async () => (await containers.list({ all: true, size: false, filters: { id: [removed] } })).length === 0);
});

test("execs go on, and their exit codes are known to the next engine", async (t) => {
  const test = await startEngine(t);
  const id = await createBusybox(test.engine, ["sleep", "100"]);
  await test.engine.containers.start(id);
  const waiting = "while [ ! -e /go ]; do sleep 0.05; done; exit 4";
  const execId = await test.engine.containers.execCreate(id, { Cmd: ["sh", "-c", waiting] });
  await test.engine.containers.execStart(execId, { Detach: true });
  await test.restart();
  const { containers } = test.engine;
  assert.equal(containers.execInspect(execId).Running, true);
  const { Pid } = (await containers.inspect(id, { size: false })).State;
  writeFileSync(`/proc/${Pid}/root/go`, "");
  await until(() => !containers.execInspect(execId).Running);
  assert.equal(containers.execInspect(execId).ExitCode, 4);
  await until(() => readdirSync(join(test.execRoot, "execs")).length === 0);
});

test("what no record knows is taken away", async (t) => {
  const test = await startEngine(t);
  const kept = await createBusybox(test.engine, ["true"]);
  await runToEnd(test.engine, kept);
  const stray = "ab".repeat(32);
  await test.restart(() => {
    for (const folder of [
      join(test.execRoot, "containers", stray),
      join(test.dataRoot, "containers", stray),
      join(test.execRoot, "execs", stray),
    ])
      mkdirSync(folder);
  });
  assert.deepEqual(readdirSync(join(test.execRoot, "containers")), []);
  assert.deepEqual(readdirSync(join(test.dataRoot, "containers")), [kept]);
  assert.deepEqual(readdirSync(join(test.execRoot, "execs")), []);
});

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

function alive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
