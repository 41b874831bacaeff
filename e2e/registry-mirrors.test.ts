/** Mirrors and rules of the daemon's configuration, and their change while it runs. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { makeImage } from "../src/testing/image-archives.ts";
import { startRegistry } from "../src/testing/registry.ts";
import { ScriptedRegistry } from "../src/testing/scripted-registry.ts";

const folder = mkdtempSync(join(tmpdir(), "gantry-mirrors-"));
const configFile = join(folder, "daemon.json");
let [hub, other]: ScriptedRegistry[] = [];
let daemon: TestDaemon | undefined;

before(async () => {
  hub = await ScriptedRegistry.start();
  other = await ScriptedRegistry.start();
  hub.addImage("library/box", "1", await makeImage({ layers: ["hub"] }));
  other.addImage("cache/acme/box", "1", await makeImage({ layers: ["acme"] }));
  writeFileSync(configFile, JSON.stringify({ "registry-mirrors": [`http://${hub.host}`] }));
  daemon = await startDaemon({ image: false, flags: ["--config-file", configFile] });
});
after(async () => {
  for (const one of [daemon, hub, other]) await one?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const call = <T = unknown>(method: string, path: string) => (daemon as TestDaemon).call<T>(method, path);
const pull = (name: string) => call<string>("POST", `/images/create?fromImage=${encodeURIComponent(name)}&tag=1`);

async function reload(configuration: object): Promise<void> {
  writeFileSync(configFile, JSON.stringify(configuration));
  const lines = () => (daemon as TestDaemon).log().split("Reloaded configuration").length;
  const before = lines();
  process.kill((daemon as TestDaemon).pid, "SIGHUP");
  while (lines() === before) await sleep(20);
}

test("docker.io's images come from its mirror, under docker.io's name", async () => {
  assert.match(await pull("box"), /Downloaded newer image for box:1/);
  assert.ok(hub?.seen.some(({ url }) => url === "/v2/library/box/manifests/1"));
  const info = await call<{ RegistryConfig: { Mirrors: string[] } }>("GET", "/info");
  assert.deepEqual(info.RegistryConfig.Mirrors, [`http://${hub?.host}`]);
});

test("a rule that SIGHUP brings gives another registry mirrors, and keeps its names", async () => {
  await assert.rejects(pull("registry.invalid/acme/box"), /cannot reach registry\.invalid/);
  const mirrors = [`http://${hub?.host}`, { location: `${other?.host}/cache/acme`, pull: "all" }];
  await reload({ registries: [{ prefix: "registry.invalid/acme", mirrors, "mirrors-only": true }] });
  assert.match(await pull("registry.invalid/acme/box"), /Downloaded newer image for registry\.invalid\/acme\/box:1/);
  assert.ok(
    hub?.seen.some(({ url }) => url === "/v2/box/manifests/1"),
    "in their order",
  );
  const images = await call<{ RepoTags: string[] }[]>("GET", "/images/json");
  assert.ok(images.some(({ RepoTags }) => RepoTags.includes("registry.invalid/acme/box:1")));
});

test("one cache is the mirror of several registries, and each name is its registry's", async () => {
  const upstreams = [hub, other].map((one, at) => ({ prefix: `r${at}.invalid`, url: `http://${one?.host}` }));
  await using cache = await startRegistry({ upstreams });
  hub?.addImage("acme/box", "1", await makeImage({ layers: ["of the first"] }));
  other?.addImage("acme/box", "1", await makeImage({ layers: ["of the second"] }));
  await reload({
    registries: upstreams.map(({ prefix }) => ({ prefix, mirrors: [cache.url], "mirrors-only": true })),
  });
  const ids = [];
  for (const { prefix } of upstreams) {
    assert.match(await pull(`${prefix}/acme/box`), /Downloaded newer image/);
    ids.push((await call<{ Id: string }>("GET", `/images/${prefix}/acme/box:1/json`)).Id);
  }
  assert.notEqual(ids[0], ids[1]);
});

test("a block, and a configuration that is wrong, are told; the wrong one changes nothing", async () => {
  await reload({ registries: [{ prefix: "registry.invalid", blocked: true }] });
  await assert.rejects(pull("registry.invalid/acme/box"), /403.*registry rule .*registry\.invalid.* blocks/);
  writeFileSync(configFile, JSON.stringify({ registries: [{ prefix: "a", mirror: [] }] }));
  process.kill((daemon as TestDaemon).pid, "SIGHUP");
  while (!(daemon as TestDaemon).log().includes("unknown mirror")) await sleep(20);
  await assert.rejects(pull("registry.invalid/acme/box"), /blocks/);
});
