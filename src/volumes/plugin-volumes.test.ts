import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EngineError } from "../base/errors.ts";
import type { Events } from "../events/events.ts";
import type { Plugin, Plugins } from "../plugins/plugins.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { openVolumes } from "./open.ts";

/** Volumes, and a plug-in "keeper" that has these; it fails when it is asked for its capabilities. */
function setUp(t: TestContext, has: Set<string>) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-plugin-volumes-"));
  const store = openStore(makePaths(join(folder, "data"), join(folder, "exec")));
  t.after(() => {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const call = async (method: string, { Name = "" }: { Name?: string }) => {
    if (method === "VolumeDriver.List") return { Volumes: [...has].map((name) => ({ Name: name })) };
    if (method === "VolumeDriver.Get" && has.has(Name)) return { Volume: { Name } };
    if (method === "VolumeDriver.Remove" && has.delete(Name)) return {};
    throw new EngineError("internal", `${method}: no`);
  };
  const keeper = { name: "keeper", kinds: ["VolumeDriver"], call } as unknown as Plugin;
  const plugins = { all: async () => [keeper], get: async () => keeper } as unknown as Plugins;
  const events = { publish() {} } as unknown as Events;
  return { store, volumes: openVolumes({ store, events, logger: { log() {} }, plugins }) };
}

test("a plug-in that does not say its capabilities keeps its volumes", async (t) => {
  const { volumes } = setUp(t, new Set(["theirs"]));
  const { Driver, Scope } = await volumes.describe("theirs");
  assert.deepEqual([Driver, Scope], ["keeper", "local"]);
  const { volumes: all, warnings } = await volumes.listAll();
  assert.deepEqual([all.map(({ Name }) => Name), warnings], [["theirs"], []]);
  assert.equal((await volumes.create({ Name: "theirs" })).Driver, "keeper");
});

test("a plug-in's volume is removed also where its removal was cut short before", async (t) => {
  const has = new Set(["theirs"]);
  const { volumes, store } = setUp(t, has);
  await volumes.create({ Name: "theirs" });
  store.run("UPDATE volumes SET state = 'removing' WHERE name = 'theirs'");
  await volumes.remove("theirs", { force: false, inUseBy: [] });
  assert.deepEqual([...has, ...store.all("SELECT * FROM volumes")], []);
});
