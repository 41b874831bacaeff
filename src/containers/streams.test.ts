/** Attach and exec: clients that come, go, type, detach and vanish. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ExecCreateRequest } from "../api/types/container.ts";
import type { Engine } from "../engine/engine.ts";
import { createBusybox, FakeClient, logText, payloads, recordEvents, startEngine } from "../testing/engine-harness.ts";
import type { AttachOptions } from "./containers.ts";

const ALL: AttachOptions = { stdin: true, stdout: true, stderr: true, logs: false, stream: true };
const INTERACTIVE = { OpenStdin: true, StdinOnce: true };

async function setUp(t: TestContext) {
  const { engine, execRoot } = await startEngine(t);
  return { engine, containers: engine.containers, execRoot };
}

async function attach({ containers }: Engine, id: string, options: Partial<AttachOptions> = {}) {
  const prepared = await containers.attach(id, { ...ALL, ...options });
  const client = new FakeClient();
  return { client, raw: prepared.raw, done: prepared.run(client.end) };
}

const textOf = ({ received }: FakeClient, stream?: number) =>
  payloads(received)
    .filter((frame) => stream === undefined || frame.stream === stream)
    .map(({ text }) => text)
    .join("");

test("a client that attached before the start gets every byte, in frames", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "echo out; echo err >&2"]);
  const { client, raw, done } = await attach(engine, id);
  await containers.start(id);
  await done;
  assert.equal(raw, false);
  assert.deepEqual([textOf(client, 1), textOf(client, 2)], ["out\n", "err\n"]);
});

test("standard input flows in, and the client's half-close is its end", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "cat; echo over"], INTERACTIVE);
  const { client, done } = await attach(engine, id);
  await containers.start(id);
  client.send("hello\n");
  await client.until("hello");
  client.finish();
  await done;
  assert.equal(textOf(client), "hello\nover\n");
});

test("several clients see the same, each the streams it asked for", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "echo out; echo err >&2"]);
  const both = await attach(engine, id);
  const out = await attach(engine, id, { stderr: false });
  const err = await attach(engine, id, { stdout: false });
  await containers.start(id);
  await Promise.all([both.done, out.done, err.done]);
  assert.deepEqual([textOf(both.client, 1), textOf(both.client, 2)], ["out\n", "err\n"]);
  assert.deepEqual([textOf(out.client), textOf(err.client)], ["out\n", "err\n"]);
});

test("the log and the live stream join without a gap or a doubled byte", async (t) => {
  const { engine, containers } = await setUp(t);
  const script = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; read x";
  const id = await createBusybox(engine, ["sh", "-c", script], INTERACTIVE);
  await containers.start(id);
  const watching = await Promise.all([1, 2, 3].map(() => attach(engine, id, { logs: true, stdin: false })));
  const ending = await attach(engine, id, { stdout: false, stderr: false });
  await Promise.all(watching.map(({ client }) => client.until("2999\n")));
  ending.client.finish();
  await Promise.all([...watching, ending].map(({ done }) => done));
  const expected = Array.from({ length: 3000 }, (_, i) => `${i}\n`).join("");
  for (const { client } of watching) assert.equal(textOf(client), expected);
  assert.equal(await logText(engine, id), expected);
});

for (const [what, LogConfig] of [
  ["rotates at every turn", { Type: "json-file", Config: { "max-size": "4k", "max-file": "1000" } }],
  [
    "is compressed behind its back",
    { Type: "local", Config: { "max-size": "4k", "max-file": "1000", compress: "true" } },
  ],
  [
    "is there for a service that does not answer",
    { Type: "syslog", Config: { "syslog-address": "tcp://127.0.0.1:1" } },
  ],
  ["is written aside", { Type: "json-file", Config: { mode: "non-blocking" } }],
] as const)
  test(`the log and the live stream join without a gap where the log ${what}`, async (t) => {
    const { engine, containers } = await setUp(t);
    const script = "i=0; while [ $i -lt 4000 ]; do echo $i; i=$((i+1)); done; read x";
    const id = await createBusybox(engine, ["sh", "-c", script], { ...INTERACTIVE, HostConfig: { LogConfig } });
    await containers.start(id);
    const watching: Awaited<ReturnType<typeof attach>>[] = [];
    for (let i = 0; i < 6; i++) {
      watching.push(await attach(engine, id, { logs: true, stdin: false }));
      await new Promise((resolve) => setTimeout(resolve, 5 * i));
    }
    await Promise.all(watching.map(({ client }) => client.until("3999\n")));
    await containers.kill(id, "KILL");
    await Promise.all(watching.map(({ done }) => done));
    const expected = Array.from({ length: 4000 }, (_, i) => `${i}\n`).join("");
    for (const { client } of watching) assert.equal(textOf(client), expected);
    assert.equal(await logText(engine, id), expected);
  });

test("a client that vanishes harms nobody", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
  const early = await attach(engine, id);
  early.client.vanish();
  await early.done;
  await containers.start(id);
  const late = await attach(engine, id);
  await late.client.until("tick");
  late.client.vanish();
  await late.done;
  const witness = await attach(engine, id);
  await witness.client.until("tick");
  await containers.kill(id, "KILL");
  await witness.done;
});

test("the detach keys leave the container running", async (t) => {
  const { engine, containers } = await setUp(t);
  const events = recordEvents(engine);
  t.after(() => events.stop());
  const id = await createBusybox(engine, ["cat"], { OpenStdin: true, Tty: true });
  await containers.start(id);
  for (const [keys, typed] of [
    [undefined, "\x10\x11"],
    ["ctrl-a,x", "\x01x"],
  ] as const) {
    const { client, raw, done } = await attach(engine, id, { detachKeys: keys });
    assert.equal(raw, true);
    client.send("echoed\n");
    await client.until("echoed");
    client.send(typed);
    await done;
  }
  assert.equal((await containers.inspect(id, { size: false })).State.Running, true);
  assert.equal(events.of(id).filter((action) => action === "detach").length, 2);
  await assert.rejects(containers.attach(id, { ...ALL, detachKeys: "ctrl-!" }), {
    kind: "invalid",
    message: /^Invalid detach keys \(ctrl-!\) provided/,
  });
});

test("a terminal has the size that it is given", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "stty size; read x; stty size"], {
    OpenStdin: true,
    Tty: true,
    HostConfig: { ConsoleSize: [31, 101] },
  });
  const { client, done } = await attach(engine, id);
  await containers.start(id);
  await client.until("31 101");
  await containers.resize(id, 20, 60);
  client.send("\n");
  await done;
  assert.match(client.received.toString(), /20 60/);
});

test("paused containers are not attached to", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sleep", "100"]);
  await containers.start(id);
  await containers.pause(id);
  await assert.rejects(containers.attach(id, ALL), { kind: "conflict", message: /paused/ });
  await assert.rejects(containers.execCreate(id, { Cmd: ["true"] }), { kind: "conflict", message: /paused/ });
});

async function exec({ containers }: Engine, id: string, request: ExecCreateRequest) {
  const execId = await containers.execCreate(id, { AttachStdout: true, AttachStderr: true, ...request });
  const client = new FakeClient();
  const prepared = await containers.execStart(execId, {});
  return { execId, client, done: prepared?.run(client.end) };
}

test("an exec gives its output, its exit code, and then its folder goes", async (t) => {
  const { engine, containers, execRoot } = await setUp(t);
  const events = recordEvents(engine);
  t.after(() => events.stop());
  const id = await createBusybox(engine, ["sleep", "100"], { Env: ["A=container"] });
  await containers.start(id);
  const { execId, client, done } = await exec(engine, id, {
    Cmd: ["sh", "-c", "echo $A $B $PWD $(id -u); echo err >&2; exit 9"],
    Env: ["B=exec"],
    WorkingDir: "/tmp",
    User: "1234",
  });
  await done;
  assert.deepEqual([textOf(client, 1), textOf(client, 2)], ["container exec /tmp 1234\n", "err\n"]);
  const { ExitCode, Running, ContainerID, ProcessConfig } = containers.execInspect(execId);
  assert.deepEqual([ExitCode, Running, ContainerID], [9, false, id]);
  assert.deepEqual([ProcessConfig.entrypoint, ProcessConfig.user], ["sh", "1234"]);
  await assert.rejects(containers.execStart(execId, {}), { kind: "conflict", message: /has already run/ });
  while (readdirSync(join(execRoot, "execs")).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(
    events
      .of(id)
      .filter((action) => action.startsWith("exec"))
      .map((action) => action.split(":")[0]),
    ["exec_create", "exec_start", "exec_die"],
  );
});

test("an exec reads what the client sends until its half-close", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sleep", "100"]);
  await containers.start(id);
  const { client, done } = await exec(engine, id, { Cmd: ["cat"], AttachStdin: true });
  client.send("through\n");
  client.finish();
  await done;
  assert.equal(textOf(client), "through\n");
});

test("an exec of what is not there ends with 127", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sleep", "100"]);
  await containers.start(id);
  const { execId, done } = await exec(engine, id, { Cmd: ["no-such-command"] });
  await assert.rejects(done ?? Promise.resolve(), /OCI runtime exec failed: exec failed: .*no-such-command/);
  assert.equal(containers.execInspect(execId).ExitCode, 127);
});

test("detached execs run on, and end with their container", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sleep", "100"]);
  await containers.start(id);
  const execId = await containers.execCreate(id, { Cmd: ["sleep", "50"] });
  assert.equal(await containers.execStart(execId, { Detach: true }), undefined);
  assert.equal(containers.execInspect(execId).Running, true);
  assert.deepEqual((await containers.inspect(id, { size: false })).ExecIDs, [execId]);
  await containers.kill(id, "KILL");
  while (containers.execInspect(execId).Running) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(containers.execInspect(execId).ExitCode, 137);
  await assert.rejects(containers.execCreate(id, { Cmd: ["true"] }), {
    kind: "conflict",
    message: `container ${id} is not running`,
  });
  assert.throws(() => containers.execInspect("nothing"), {
    kind: "not-found",
    message: "No such exec instance: nothing",
  });
});
