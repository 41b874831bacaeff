/** What follows when real containers become unhealthy. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import type { HealthConfig, HostConfig } from "../api/types/container.ts";
import { createBusybox, recordEvents, startEngine } from "../testing/engine-harness.ts";

const FAST = { Interval: 50e6, Retries: 2 };

/** Starts a container that is unhealthy as long as it has no /well. */
async function setUp(t: TestContext, health: HealthConfig, HostConfig: HostConfig = {}) {
  const test = await startEngine(t);
  const events = recordEvents(test.engine);
  t.after(() => events.stop());
  const Healthcheck = { Test: ["CMD-SHELL", "echo looking; test -e /well"], ...FAST, ...health };
  const id = await createBusybox(test.engine, ["sleep", "1000"], { Healthcheck, HostConfig, StopSignal: "KILL" });
  await test.engine.containers.start(id);
  const inspect = () => test.engine.containers.inspect(id, { size: false });
  const until = async (condition: () => Promise<boolean> | boolean) => {
    while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  return { test, events, id, inspect, until };
}

test("without a wish an unhealthy container goes on", async (t) => {
  const { events, id, inspect, until } = await setUp(t, {});
  await until(() => events.of(id).includes("health_status: unhealthy"));
  const { State } = await inspect();
  assert.equal(State.Running, true);
  assert.equal(State.Health?.Status, "unhealthy");
  assert.deepEqual([State.Health?.Log[0]?.ExitCode, State.Health?.Log[0]?.Output], [1, "looking\n"]);
  writeFileSync(`/proc/${State.Pid}/root/well`, "");
  await until(() => events.of(id).includes("health_status: healthy"));
});

test("restart: it is started again, and its checks begin anew", async (t) => {
  const { events, id, inspect, until } = await setUp(t, { OnFailure: "restart" });
  await until(() => events.of(id).includes("restart"));
  const { State, RestartCount } = await inspect();
  assert.equal(State.Running, true);
  assert.equal(RestartCount, 1);
  writeFileSync(`/proc/${State.Pid}/root/well`, "");
  await until(async () => (await inspect()).State.Health?.Status === "healthy");
});

test("stop: it stays down, whatever its restart policy", async (t) => {
  const { test, events, id, inspect, until } = await setUp(
    t,
    { OnFailure: "stop" },
    { RestartPolicy: { Name: "unless-stopped" } },
  );
  await until(() => events.of(id).includes("stop"));
  assert.equal((await inspect()).State.Status, "exited");
  await test.restart();
  assert.equal((await inspect()).State.Status, "exited");
});

test("kill: its restart policy decides; an annotation says it for clients that lack the field", async (t) => {
  const { events, id, inspect, until } = await setUp(
    t,
    {},
    {
      Annotations: { "gantry.health-on-failure": "kill" },
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 1 },
    },
  );
  await until(async () => (await inspect()).State.Status === "exited");
  const { State, RestartCount } = await inspect();
  assert.deepEqual([State.ExitCode, RestartCount], [137, 1]);
  assert.equal(events.of(id).filter((action) => action === "start").length, 2);
});

test("what was to follow is made up for by the next engine", async (t) => {
  const { test, inspect, until, events, id } = await setUp(t, {});
  await until(() => events.of(id).includes("health_status: unhealthy"));
  // As if the engine had been killed just before it acted.
  const { OnFailure: _, ...definition } = (await inspect()).Config.Healthcheck ?? {};
  await test.restart(async () => {
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(`${test.dataRoot}/gantry.db`);
    const row = database.prepare("SELECT definition FROM containers WHERE id = ?").get(id) as { definition: string };
    const changed = JSON.parse(row.definition);
    changed.config.Healthcheck = { ...definition, OnFailure: "stop" };
    database.prepare("UPDATE containers SET definition = ? WHERE id = ?").run(JSON.stringify(changed), id);
    database.close();
  });
  await until(async () => (await inspect()).State.Status === "exited");
});

test("a check that takes too long is ended, and what it wrote is kept", async (t) => {
  const { inspect, until } = await setUp(t, {
    Test: ["CMD-SHELL", "echo begun; sleep 100"],
    Timeout: 300e6,
    Retries: 1,
  });
  await until(async () => (await inspect()).State.Health?.Status === "unhealthy");
  const result = (await inspect()).State.Health?.Log[0];
  assert.deepEqual([result?.ExitCode, result?.Output], [-1, "Health check exceeded timeout (300ms): begun\n"]);
});

test("an action that nobody knows is refused", async (t) => {
  const { engine } = await startEngine(t);
  const message = "invalid action on health failure 'cry': use one of 'none', 'restart', 'stop', or 'kill'";
  const Healthcheck = { Test: ["CMD", "true"], OnFailure: "cry" };
  await assert.rejects(createBusybox(engine, ["true"], { Healthcheck }), { kind: "invalid", message });
  const HostConfig = { Annotations: { "gantry.health-on-failure": "cry" } };
  await assert.rejects(createBusybox(engine, ["true"], { HostConfig }), { kind: "invalid", message });
});
