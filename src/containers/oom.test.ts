/** Memory that runs out in a container; on either version of control groups. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createBusybox, logText, recordEvents, startEngine } from "../testing/engine-harness.ts";

test("a process that the kernel kills for want of memory is noted at once, though its container goes on", async (t) => {
  const { engine } = await startEngine(t);
  const { containers } = engine;
  const events = recordEvents(engine);
  t.after(() => events.stop());
  const script = "tail /dev/zero; echo survived; read x; tail /dev/zero";
  const id = await createBusybox(engine, ["sh", "-c", script], {
    OpenStdin: true,
    HostConfig: { Memory: 16 << 20, MemorySwap: 16 << 20 },
  });
  await containers.start(id);
  await until(async () => (await logText(engine, id)).includes("survived"));
  await until(async () => (await containers.inspect(id, { size: false })).State.OOMKilled);
  assert.equal((await containers.inspect(id, { size: false })).State.Status, "running");
  assert.deepEqual(events.of(id), ["create", "start", "oom"]);
  await containers.kill(id, "KILL");
  assert.equal((await containers.inspect(id, { size: false })).State.OOMKilled, true);
  assert.deepEqual(events.of(id), ["create", "start", "oom", "kill", "die"]);
  await containers.start(id);
  assert.equal((await containers.inspect(id, { size: false })).State.OOMKilled, false);
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
