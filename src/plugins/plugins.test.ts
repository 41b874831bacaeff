import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openPlugins } from "./open.ts";
import type { PluginFolders } from "./plugins.ts";

interface Place extends PluginFolders {
  readonly sockets: readonly [string];
  readonly specs: readonly [string, string];
}

function makePlace(t: TestContext): Place {
  const root = mkdtempSync(join(tmpdir(), "gantry-plugins-"));
  const [sockets, etc, lib] = ["run", "etc", "lib"].map((name) => join(root, name));
  for (const folder of [sockets, etc, lib]) mkdirSync(folder ?? root);
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return { sockets: [sockets ?? ""], specs: [etc ?? "", lib ?? ""] };
}

type Answers = Readonly<Record<string, (body: string) => unknown>>;

/** A plug-in: answers by method; a string is sent as it is. Answers what it was asked for. */
async function plugin(
  t: TestContext,
  where: string | number,
  answers: Answers,
): Promise<{ asked: string[]; port: number }> {
  const asked: string[] = [];
  const server: Server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const body = (await Array.fromAsync(request)).join("");
    const method = (request.url ?? "").slice(1);
    asked.push(`${request.method} ${method} ${body}`.trim());
    const answer = answers[method];
    if (answer === undefined) return void response.writeHead(404).end("404 page not found");
    const said = await answer(body);
    response.writeHead(said instanceof Error ? 500 : 200);
    response.end(said instanceof Error ? said.message : typeof said === "string" ? said : JSON.stringify(said));
  });
  const listening = new Promise((resolve) => server.once("listening", resolve));
  if (typeof where === "number") server.listen(where, "127.0.0.1");
  else server.listen(where);
  await listening;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { asked, port: typeof address === "object" ? (address?.port ?? 0) : 0 };
}

const activate = (...Implements: string[]) => ({ "Plugin.Activate": () => ({ Implements }) });

test("a socket is found by its name, activated once, and called", async (t) => {
  const place = makePlace(t);
  const { asked } = await plugin(t, join(place.sockets[0], "one.sock"), {
    ...activate("VolumeDriver"),
    "VolumeDriver.Get": (body) => ({ Got: JSON.parse(body) }),
  });
  const plugins = openPlugins(place);
  assert.deepEqual([plugins.names(), plugins.exists("one"), plugins.exists("two")], [["one"], true, false]);
  const [first, second] = await Promise.all([plugins.get("one", "VolumeDriver"), plugins.get("one", "VolumeDriver")]);
  assert.equal(first, second);
  assert.deepEqual(await first.call("VolumeDriver.Get", { Name: "x" }), { Got: { Name: "x" } });
  assert.deepEqual(asked, ["POST Plugin.Activate", 'POST VolumeDriver.Get {"Name":"x"}']);
  await assert.rejects(plugins.get("one", "NetworkDriver"), {
    kind: "not-found",
    message: /does not implement NetworkDriver/,
  });
  await assert.rejects(plugins.get("two", "VolumeDriver"), { kind: "not-found", message: 'plugin "two" not found' });
  for (const name of ["../one", "", "a/b", "."])
    await assert.rejects(plugins.get(name, "VolumeDriver"), { kind: "not-found" });
});

test("spec and JSON files lead to others, sockets come before them, folders of their own count", async (t) => {
  const place = makePlace(t);
  const [etc, lib] = place.specs;
  const { port } = await plugin(t, 0, activate("NetworkDriver"));
  mkdirSync(join(place.sockets[0], "inner"));
  const inner = await plugin(t, join(place.sockets[0], "inner", "inner.sock"), activate("IpamDriver"));
  writeFileSync(join(lib, "inner.spec"), `tcp://127.0.0.1:${port}`);
  writeFileSync(join(etc, "plain.spec"), `tcp://127.0.0.1:${port}\n`);
  writeFileSync(join(lib, "full.json"), JSON.stringify({ Name: "full", Addr: `http://127.0.0.1:${port}` }));
  writeFileSync(join(lib, "to-socket.spec"), `unix://${join(place.sockets[0], "inner", "inner.sock")}`);
  const plugins = openPlugins(place);
  assert.deepEqual(plugins.names(), ["full", "inner", "plain", "to-socket"]);
  for (const name of ["plain", "full"])
    assert.deepEqual((await plugins.get(name, "NetworkDriver")).kinds, ["NetworkDriver"]);
  for (const name of ["inner", "to-socket"]) await plugins.get(name, "IpamDriver");
  assert.equal(inner.asked.length, 2);
});

test("files that lead nowhere are refused with a word about them", async (t) => {
  const place = makePlace(t);
  const [etc] = place.specs;
  const broken = {
    a: ["spec", "nonsense"],
    b: ["spec", "ftp://x"],
    c: ["json", "{"],
    d: ["json", "{}"],
    e: ["spec", "x".repeat(70_000)],
  };
  for (const [name, [extension = "", text = ""]] of Object.entries(broken))
    writeFileSync(join(etc, `${name}.${extension}`), text);
  const plugins = openPlugins(place);
  for (const name of Object.keys(broken))
    await assert.rejects(plugins.get(name, "VolumeDriver"), { kind: "invalid", message: new RegExp(`${name}\\.`) });
});

test("what a plug-in says against it, or says badly, is told", async (t) => {
  const place = makePlace(t);
  await plugin(t, join(place.sockets[0], "bad.sock"), {
    ...activate("VolumeDriver"),
    refused: () => ({ Err: "no such thing" }),
    broken: () => new Error("boom"),
    silent: () => "",
    html: () => "<html>",
    list: () => [],
    huge: () => `"${"x".repeat(17 << 20)}"`,
  });
  const bad = await openPlugins(place).get("bad", "VolumeDriver");
  await assert.rejects(bad.call("refused"), { kind: "internal", message: "refused: no such thing" });
  await assert.rejects(bad.call("broken"), { kind: "internal", message: "broken: boom" });
  await assert.rejects(bad.call("unknown"), { kind: "internal", message: /404 page not found/ });
  assert.deepEqual(await bad.call("unknown", {}, { whenUnknown: { Value: {} } }), { Value: {} });
  assert.deepEqual(await bad.call("silent"), {});
  for (const method of ["html", "list"])
    await assert.rejects(bad.call(method), { kind: "unavailable", message: /no JSON object/ });
  await assert.rejects(bad.call("huge"), { kind: "too-large" });
});

test("a plug-in that is starting is waited for, one that never comes or never answers is not", async (t) => {
  const place = makePlace(t);
  const [etc] = place.specs;
  const path = join(place.sockets[0], "late.sock");
  writeFileSync(join(etc, "late.spec"), `unix://${path}`);
  const plugins = openPlugins(place);
  await assert.rejects(plugins.get("late", "VolumeDriver", { timeoutMs: 300 }), { kind: "unavailable" });
  const waiting = plugins.get("late", "VolumeDriver");
  setTimeout(() => void plugin(t, path, { ...activate("VolumeDriver"), never: () => new Promise(() => {}) }), 250);
  const late = await waiting;
  const hangs = await plugin(t, 0, {});
  assert.ok(hangs.port);
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(join(place.sockets[0], "deaf.sock"), resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await assert.rejects(plugins.get("deaf", "VolumeDriver", { timeoutMs: 200 }), {
    kind: "unavailable",
    message: /no answer within 0.2 s/,
  });
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 100);
  await assert.rejects(late.call("never", {}, { signal: abort.signal }), { name: "AbortError" });
});

test("a plug-in that comes again at its socket is activated again", async (t) => {
  const place = makePlace(t);
  const path = join(place.sockets[0], "again.sock");
  const first = createServer((_, response) => response.end(JSON.stringify({ Implements: ["VolumeDriver"] })));
  await new Promise<void>((resolve) => first.listen(path, resolve));
  const plugins = openPlugins(place);
  await plugins.get("again", "VolumeDriver");
  await new Promise((resolve) => {
    first.closeAllConnections();
    first.close(resolve);
  });
  await plugin(t, path, activate("NetworkDriver"));
  await assert.rejects(plugins.get("again", "VolumeDriver"), { kind: "not-found" });
  await plugins.get("again", "NetworkDriver");
});
