/** The life of real containers, through an engine in this process. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { mountTable } from "../kernel/mounts.ts";
import { createBusybox, logText, recordEvents, runToEnd, startEngine } from "../testing/engine-harness.ts";

const REMOVE = { force: false, volumes: false, link: false };
const FORCE = { force: true, volumes: true, link: false };

async function setUp(t: TestContext) {
  const test = await startEngine(t);
  return { test, engine: test.engine, containers: test.engine.containers };
}

test("a container runs, ends, is removed, and nothing of it stays", async (t) => {
  const { test, engine, containers } = await setUp(t);
  const events = recordEvents(engine);
  t.after(() => events.stop());
  const id = await createBusybox(engine, ["sh", "-c", "echo out; echo err >&2; exit 7"], {
    name: "one",
    Labels: { a: "b" },
  });
  assert.equal((await containers.inspect("one", { size: false })).State.Status, "created");
  assert.equal(await runToEnd(engine, id), 7);
  const { State } = await containers.inspect(id.slice(0, 12), { size: false });
  assert.deepEqual([State.Status, State.ExitCode, State.Pid, State.Running], ["exited", 7, 0, false]);
  assert.ok(Date.parse(State.FinishedAt) >= Date.parse(State.StartedAt));
  assert.deepEqual((await logText(engine, id)).split("\n").sort(), ["", "err", "out"]);
  await containers.remove("/one", REMOVE);
  assert.deepEqual(events.of(id), ["create", "start", "die", "destroy"]);
  const die = events.all.find(({ Action }) => Action === "die");
  assert.deepEqual(
    { ...die?.Actor.Attributes, execDuration: "" },
    { a: "b", image: "busybox", name: "one", exitCode: "7", execDuration: "" },
  );
  await assert.rejects(containers.inspect(id, { size: false }), {
    kind: "not-found",
    message: `No such container: ${id}`,
  });
  assert.deepEqual(readdirSync(join(test.execRoot, "containers")), []);
  assert.deepEqual(readdirSync(join(test.dataRoot, "containers")), []);
  assert.deepEqual(
    mountTable().filter(({ target }) => target.startsWith(test.execRoot) && target.includes(id)),
    [],
  );
});

test("names are unique and prefixes must be unambiguous", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["true"], { name: "taken" });
  await assert.rejects(createBusybox(engine, ["true"], { name: "/taken" }), {
    kind: "conflict",
    message: `Conflict. The container name "/taken" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  });
  const seen = new Map<string, string>([[id[0] ?? "", id]]);
  for (;;) {
    const other = await createBusybox(engine, ["true"]);
    const first = other[0] ?? "";
    if (seen.has(first)) {
      await assert.rejects(containers.inspect(first, { size: false }), {
        kind: "invalid",
        message: `multiple IDs found with provided prefix: ${first}`,
      });
      break;
    }
    seen.set(first, other);
  }
});

test("a failed create leaves nothing", async (t) => {
  const { test, engine, containers } = await setUp(t);
  await assert.rejects(createBusybox(engine, ["true"], { Image: "nothing:1" }), {
    kind: "not-found",
    message: "No such image: nothing:1",
  });
  await assert.rejects(createBusybox(engine, ["true"], { HostConfig: { Binds: ["no/name:/x"] } }), { kind: "invalid" });
  await assert.rejects(createBusybox(engine, ["true"], { HostConfig: { LogConfig: { Type: "smoke" } } }), {
    kind: "invalid",
    message: "logger: no log driver named 'smoke' is registered",
  });
  assert.deepEqual(await containers.list({ all: true, size: false, filters: {} }), []);
  assert.deepEqual(engine.volumes.list(), []);
  assert.deepEqual(readdirSync(join(test.dataRoot, "containers")), []);
});

test("what cannot be started says so, with the shell's exit codes, and can be removed", async (t) => {
  const { engine, containers } = await setUp(t);
  for (const [command, code, text] of [
    ["nothing-like-it", 127, /exec: "nothing-like-it": executable file not found in \$PATH/],
    ["/etc/passwd", 126, /permission denied/],
  ] as const) {
    const id = await createBusybox(engine, [command]);
    await assert.rejects(containers.start(id), { kind: "invalid", message: text });
    const { State } = await containers.inspect(id, { size: false });
    assert.deepEqual([State.Status, State.ExitCode], ["created", code]);
    assert.match(State.Error, text);
    await containers.remove(id, REMOVE);
  }
});

test("a running container refuses what needs a stopped one, and the other way round", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sleep", "100"], { name: "busy", StopSignal: "KILL" });
  await assert.rejects(containers.stop(id, {}), { kind: "not-modified" });
  await assert.rejects(containers.kill(id, undefined), {
    kind: "conflict",
    message: `cannot kill container: busy: container ${id} is not running`,
  });
  await assert.rejects(containers.pause(id), { kind: "conflict", message: `container ${id} is not running` });
  await containers.start(id);
  await assert.rejects(containers.start(id), { kind: "not-modified" });
  await assert.rejects(containers.remove(id, REMOVE), {
    kind: "conflict",
    message:
      'cannot remove container "/busy": container is running: stop the container before removing or force remove',
  });
  await assert.rejects(containers.kill(id, "NOSUCH"), { kind: "invalid", message: "invalid signal: NOSUCH" });
  await containers.pause(id);
  await assert.rejects(containers.pause(id), { kind: "conflict", message: `Container ${id} is already paused` });
  await assert.rejects(containers.start(id), { kind: "conflict", message: /cannot start a paused container/ });
  await containers.unpause(id);
  await assert.rejects(containers.unpause(id), { kind: "conflict", message: `Container ${id} is not paused` });
  await containers.stop(id, {});
  assert.equal((await containers.inspect(id, { size: false })).State.ExitCode, 137);
});

test("stop sends the stop signal, and kills what does not listen", async (t) => {
  const { engine, containers } = await setUp(t);
  const script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.1; done";
  const polite = await createBusybox(engine, ["sh", "-c", script], { StopSignal: "SIGUSR1" });
  await containers.start(polite);
  await written(engine, polite, "ready");
  await containers.stop(polite, { timeout: 30 });
  assert.equal((await containers.inspect(polite, { size: false })).State.ExitCode, 5);
  const deaf = await createBusybox(engine, ["sleep", "100"]);
  await containers.start(deaf);
  await containers.stop(deaf, { timeout: 0 });
  assert.equal((await containers.inspect(deaf, { size: false })).State.ExitCode, 137);
});

test("a paused container can be stopped and removed by force", async (t) => {
  const { engine, containers } = await setUp(t);
  for (const end of [
    (id: string) => containers.stop(id, { timeout: 0 }),
    (id: string) => containers.remove(id, FORCE),
  ]) {
    const id = await createBusybox(engine, ["sleep", "100"]);
    await containers.start(id);
    await containers.pause(id);
    await end(id);
  }
});

test("wait knows its conditions", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "exit 3"], { HostConfig: { AutoRemove: true } });
  assert.equal((await (await containers.wait(id, "not-running")).result).StatusCode, 0);
  const next = (await containers.wait(id, "next-exit")).result;
  const removed = (await containers.wait(id, "removed")).result;
  const abort = new AbortController();
  const given = (await containers.wait(id, "removed", abort.signal)).result;
  abort.abort();
  await assert.rejects(given, { kind: "cancelled" });
  await containers.start(id);
  assert.equal((await next).StatusCode, 3);
  assert.equal((await removed).StatusCode, 3);
  assert.deepEqual(await containers.list({ all: true, size: false, filters: {} }), []);
});

test("restart policies start again, count, and leave alone what was stopped by hand", async (t) => {
  const { engine, containers } = await setUp(t);
  const policy = (Name: string, MaximumRetryCount = 0) => ({
    HostConfig: { RestartPolicy: { Name, MaximumRetryCount } },
  });
  const failing = await createBusybox(engine, ["sh", "-c", "exit 4"], policy("on-failure", 2));
  await containers.start(failing);
  await until(async () => (await containers.inspect(failing, { size: false })).State.Status === "exited");
  assert.equal((await containers.inspect(failing, { size: false })).RestartCount, 2);
  const always = await createBusybox(engine, ["sleep", "100"], policy("always"));
  await containers.start(always);
  const { Pid } = (await containers.inspect(always, { size: false })).State;
  process.kill(Pid, 9);
  await until(async () => (await containers.inspect(always, { size: false })).RestartCount === 1);
  await containers.stop(always, { timeout: 0 });
  assert.equal((await containers.inspect(always, { size: false })).State.Status, "exited");
  const looping = await createBusybox(engine, ["true"], policy("always"));
  await containers.start(looping);
  await until(async () => (await containers.inspect(looping, { size: false })).State.Status === "restarting");
  await containers.stop(looping, {});
  assert.equal((await containers.inspect(looping, { size: false })).State.Status, "exited");
});

test("restart makes a new process and keeps what --rm would take", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sleep", "100"], { HostConfig: { AutoRemove: true } });
  await containers.start(id);
  const before = (await containers.inspect(id, { size: false })).State.Pid;
  await containers.restart(id, { timeout: 0 });
  const after = await containers.inspect(id, { size: false });
  assert.equal(after.State.Running, true);
  assert.notEqual(after.State.Pid, before);
  const removed = (await containers.wait(id, "removed")).result;
  await containers.kill(id, "KILL");
  await removed;
});

test("rename and update change the record and the running container", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sleep", "100"], { name: "before" });
  await containers.start(id);
  await containers.rename("before", "after");
  assert.equal((await containers.inspect("after", { size: false })).Name, "/after");
  await assert.rejects(containers.rename(id, "after"), { kind: "invalid" });
  await containers.update(id, { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 }, CpuShares: 512 });
  const { HostConfig } = await containers.inspect(id, { size: false });
  assert.deepEqual(
    [HostConfig.RestartPolicy, HostConfig.CpuShares],
    [{ Name: "on-failure", MaximumRetryCount: 3 }, 512],
  );
});

test("filters choose", async (t) => {
  const { engine, containers } = await setUp(t);
  const first = await createBusybox(engine, ["true"], {
    name: "first",
    Labels: { tier: "web" },
    ExposedPorts: { "80/tcp": {} },
  });
  const second = await createBusybox(engine, ["sleep", "100"], {
    name: "second",
    HostConfig: { Binds: ["data:/data"] },
  });
  await containers.start(second);
  await runToEnd(engine, first);
  const names = async (filters: Record<string, string[]>, all = true) =>
    (await containers.list({ all, size: false, filters })).map(({ Names }) => Names[0]);
  const expected: readonly [Record<string, string[]>, string[]][] = [
    [{}, ["/second", "/first"]],
    [{ name: ["^fir"] }, ["/first"]],
    [{ name: ["^/second$"] }, ["/second"]],
    [{ label: ["tier"] }, ["/first"]],
    [{ label: ["tier=db"] }, []],
    [{ status: ["exited", "created"] }, ["/first"]],
    [{ exited: ["0"] }, ["/first"]],
    [{ before: ["second"] }, ["/first"]],
    [{ since: ["first"] }, ["/second"]],
    [{ volume: ["data"] }, ["/second"]],
    [{ volume: ["/data"] }, ["/second"]],
    [{ network: ["none"] }, ["/second", "/first"]],
    [{ expose: ["70-90"] }, ["/first"]],
    [{ ancestor: ["busybox"] }, ["/second", "/first"]],
    [{ ancestor: ["other"] }, []],
    [{ health: ["none"] }, ["/second", "/first"]],
    [{ "is-task": ["true"] }, []],
    [{ id: [first.slice(0, 20)] }, ["/first"]],
  ];
  for (const [filters, wanted] of expected) assert.deepEqual(await names(filters), wanted, JSON.stringify(filters));
  assert.deepEqual(await names({}, false), ["/second"]);
  assert.deepEqual(await names({ status: ["exited"] }, false), ["/first"]);
  assert.equal((await containers.list({ all: false, limit: 1, size: true, filters: {} })).length, 1);
  await assert.rejects(names({ status: ["asleep"] }), { kind: "invalid" });
  await assert.rejects(names({ before: ["nobody"] }), { kind: "not-found" });
});

test("prune removes what does not run and passes the filters", async (t) => {
  const { engine, containers } = await setUp(t);
  const running = await createBusybox(engine, ["sleep", "100"]);
  await containers.start(running);
  const kept = await createBusybox(engine, ["true"], { Labels: { keep: "" } });
  const gone = await createBusybox(engine, ["true"]);
  assert.deepEqual((await containers.prune({ until: ["1h"] })).ContainersDeleted, []);
  assert.deepEqual((await containers.prune({ "label!": ["keep"] })).ContainersDeleted, [gone]);
  const left = (await containers.list({ all: true, size: false, filters: {} })).map(({ Id }) => Id);
  assert.deepEqual(left.sort(), [running, kept].sort());
});

test("volumes are filled from the image once, shared, and anonymous ones go with their container", async (t) => {
  const { engine, containers } = await setUp(t);
  const first = await createBusybox(engine, ["sh", "-c", "ls /etc/passwd && echo mine > /etc/mine"], {
    HostConfig: { Binds: ["etc:/etc"] },
    Volumes: { "/anonymous": {} },
  });
  assert.equal(await runToEnd(engine, first), 0);
  const second = await createBusybox(engine, ["cat", "/x/mine", "/x/passwd"], { HostConfig: { Binds: ["etc:/x:ro"] } });
  assert.equal(await runToEnd(engine, second), 0);
  assert.match(await logText(engine, second), /^mine\nroot:/);
  await assert.rejects(engine.removeVolume("etc", true), { kind: "conflict", message: /volume is in use/ });
  assert.equal(engine.volumes.list().length, 2);
  await containers.remove(first, { ...REMOVE, volumes: true });
  await containers.remove(second, { ...REMOVE, volumes: true });
  assert.deepEqual(
    engine.volumes.list().map(({ Name }) => Name),
    ["etc"],
  );
});

test("health checks judge, show and tell", async (t) => {
  const { engine, containers } = await setUp(t);
  const events = recordEvents(engine);
  t.after(() => events.stop());
  const id = await createBusybox(engine, ["sleep", "100"], {
    Healthcheck: { Test: ["CMD-SHELL", "echo checked; test -e /ok"], Interval: 50e6, Retries: 1 },
  });
  await containers.start(id);
  const status = async () => (await containers.inspect(id, { size: false })).State.Health;
  await until(async () => (await status())?.Status === "unhealthy");
  const exec = await containers.execCreate(id, { Cmd: ["touch", "/ok"] });
  await containers.execStart(exec, { Detach: true });
  await until(async () => (await status())?.Status === "healthy");
  assert.match((await status())?.Log.at(-1)?.Output ?? "", /^checked\n$/);
  assert.match(
    (await containers.list({ all: false, size: false, filters: { health: ["healthy"] } }))[0]?.Status ?? "",
    /\(healthy\)$/,
  );
  assert.deepEqual(
    events.of(id).filter((action) => action.startsWith("health")),
    ["health_status: unhealthy", "health_status: healthy"],
  );
});

test("files of the network are the container's own, and its hostname its short id", async (t) => {
  const { engine } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "hostname; cat /etc/hostname /etc/hosts"], {
    HostConfig: { ExtraHosts: ["there:10.1.2.3"] },
  });
  assert.equal(await runToEnd(engine, id), 0);
  const text = await logText(engine, id);
  assert.ok(text.startsWith(`${id.slice(0, 12)}\n${id.slice(0, 12)}\n`));
  assert.match(text, /10\.1\.2\.3\s+there/);
});

test("top, stats, changes and export look into a running container", async (t) => {
  const { engine, containers } = await setUp(t);
  const id = await createBusybox(engine, ["sh", "-c", "echo hello > /new; sleep 100"]);
  await containers.start(id);
  await until(async () => (await containers.changes(id)).some(({ Path }) => Path === "/new"));
  if (existsSync("/usr/bin/ps") || existsSync("/bin/ps")) {
    const { Titles, Processes } = await containers.top(id, undefined);
    assert.ok(Titles.includes("PID"));
    assert.ok(Processes.some((row) => row.at(-1)?.includes("sleep 100")));
  }
  for await (const sample of containers.stats(id, { stream: false, oneShot: true })) {
    assert.ok((sample.pids_stats?.current ?? 0) >= 1);
    assert.equal(sample.id, id);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of await containers.export(id)) chunks.push(chunk as Buffer);
  assert.ok(Buffer.concat(chunks).includes("hello\n"));
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function written(engine: Parameters<typeof logText>[0], id: string, text: string): Promise<void> {
  await until(async () => (await logText(engine, id)).includes(text));
}
