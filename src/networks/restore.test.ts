import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { test } from "node:test";
import { deleteLink, RouteSocket } from "../kernel/netlink.ts";
import { killProcess, pipe, spawn } from "../kernel/spawn.ts";
import { freePorts } from "../testing/free-port.ts";
import { inside, kernelOf, makeWorld, requestFor, skip, type World } from "./networks.fixture.ts";
import { ask, serve } from "./traffic.fixture.ts";

const PORT = await freePorts(1);

/** Lets another process work on the world's root, kills it after the time, and answers the id of the container that it left open. */
async function crash({ paths }: World, milliseconds: number): Promise<string> {
  const [read, write] = pipe();
  const script = new URL("./crash.fixture.ts", import.meta.url).pathname;
  const args = [script, paths.dataRoot, paths.execRoot, String(PORT)];
  const child = spawn({ file: process.execPath, args, stdio: ["null", write, 2] });
  closeSync(write);
  let output = "";
  for await (const chunk of new Socket({ fd: read, readable: true, writable: false }) as AsyncIterable<Buffer>) {
    output += chunk;
    if (output.includes("\n")) break;
  }
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  killProcess(child.pid, 9);
  await child.exited;
  return output.trim();
}

test("after a kill at any point what runs goes on and nothing else is left", { skip }, async () => {
  await using world = await makeWorld();
  for (const milliseconds of [0, 13, 47, 90, 161]) {
    const id = await crash(world, milliseconds);
    await world.next();
    const sandbox = world.networks.sandbox(id);
    using _server = await serve(sandbox?.netns ?? "", 80);
    assert.ok(await ask("tcp", "127.0.0.1", PORT), "the port works without an engine");
    await world.networks.restore(new Set([id]));
    assert.ok(await ask("tcp", "127.0.0.1", PORT), "the port works after the next start");
    assert.deepEqual(world.networks.sandbox(id), sandbox);
    for (const { Name } of world.networks.list()) if (Name.startsWith("network-")) await world.networks.remove(Name);
    await world.networks.dispose();
    const { links, namespaces, published } = await settled(world, 2);
    assert.deepEqual([links.length, namespaces, published], [2, 1, 1], `after ${milliseconds} ms: ${links}`);
    await world.next();
    await world.networks.close(id);
    await world.networks.dispose();
    const rows = ["sandboxes", "endpoints", "ports"].map(
      (table) => world.store.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)?.n,
    );
    assert.deepEqual(rows, [0, 0, 0]);
    await world.next();
    await world.networks.restore(new Set());
  }
});

test("a bridge that someone removed comes back, with its containers", { skip }, async () => {
  await using world = await makeWorld();
  const [one, two] = [requestFor("one"), requestFor("two")];
  const first = await world.networks.open(one);
  await world.networks.open(two);
  const bridge = world.networks.inspect("bridge").Options["com.docker.network.bridge.name"] ?? "";
  const host = new RouteSocket();
  host.run(deleteLink(bridge));
  host.close();
  const third = await world.networks.open(requestFor("three"));
  await inside(third, "busybox", "ping", "-c", "1", "-W", "2", third.endpoints.bridge?.Gateway ?? "");
  await world.next();
  await world.networks.restore(new Set([one.containerId, two.containerId]));
  await inside(
    first,
    "busybox",
    "ping",
    "-c",
    "1",
    "-W",
    "2",
    world.networks.sandbox(two.containerId)?.endpoints.bridge?.IPAddress ?? "",
  );
  assert.equal(world.networks.list().flatMap(({ Containers }) => Object.keys(Containers)).length, 2);
});

test("two engines on one machine leave each other alone", { skip }, async () => {
  await using one = await makeWorld();
  await one.networks.open(requestFor("first"));
  await using two = await makeWorld();
  const other = requestFor("second", { portBindings: { "80/tcp": [{ HostPort: String(PORT) }] } });
  const second = await two.networks.open(other);
  const subnet = (world: World) => world.networks.inspect("bridge").IPAM.Config?.[0]?.Subnet;
  assert.notEqual(subnet(one), subnet(two));
  await one.networks.dispose();
  await one.next();
  await one.networks.restore(new Set());
  using _server = await serve(second.netns ?? "", 80);
  assert.ok(await ask("tcp", "127.0.0.1", PORT));
});

test("engines that start at the same time end with a bridge and a subnet of their own", { skip }, async () => {
  await using one = await makeWorld();
  await using two = await makeWorld();
  await using three = await makeWorld();
  const worlds = [one, two, three];
  await Promise.all(worlds.map(({ networks }) => networks.restore(new Set())));
  const bridges = worlds.map(({ networks }) => networks.inspect("bridge"));
  assert.equal(new Set(bridges.map(({ Options }) => Options["com.docker.network.bridge.name"])).size, 3);
  assert.equal(new Set(bridges.map(({ IPAM }) => IPAM.Config?.[0]?.Subnet)).size, 3);
  for (const world of worlds)
    assert.equal((await kernelOf(world)).links.filter((name) => /^gantry\d+$/.test(name)).length, 1);
});

test("what was opened and closed leaves nothing in the kernel", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  const requests = Array.from({ length: 20 }, (_, index) => requestFor(`c${index}`, { publishAll: ["80/tcp"] }));
  await Promise.all(requests.map((request) => world.networks.open(request)));
  assert.equal(
    new Set(requests.map(({ containerId }) => world.networks.sandbox(containerId)?.endpoints.bridge?.IPAddress)).size,
    20,
  );
  await Promise.all(requests.map(({ containerId }) => world.networks.close(containerId)));
  await world.networks.dispose();
  const { links, namespaces, published } = await settled(world, 0);
  // Not even the bridge and the table: no container needs them, and the next start makes them again.
  assert.deepEqual([links.length, namespaces, published], [0, 0, undefined]);
});

/** What there is when no more than so many links are left; the kernel takes those of a removed namespace away when it comes to it. */
async function settled(world: World, links: number): ReturnType<typeof kernelOf> {
  for (let tries = 0; ; tries++) {
    const state = await kernelOf(world);
    if (state.links.length <= links || tries === 100) return state;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
