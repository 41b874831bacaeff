import assert from "node:assert/strict";
import { test } from "node:test";
import { inside, makeWorld, requestFor, skip } from "./networks.fixture.ts";

test("a container on the bridge gets an address, a gateway and a way to its neighbour", { skip }, async () => {
  await using world = await makeWorld();
  const [one, two] = [requestFor("one"), requestFor("two")];
  const first = await world.networks.open(one);
  const second = await world.networks.open(two);
  const settings = first.endpoints.bridge;
  const bridge = world.networks.inspect("bridge");
  assert.equal(settings?.Gateway, bridge.IPAM.Config?.[0]?.Gateway);
  assert.match(settings?.IPAddress ?? "", /\.2$/);
  assert.match(second.endpoints.bridge?.IPAddress ?? "", /\.3$/);
  assert.match(
    await inside(first, "ip", "-o", "addr", "show", "eth0"),
    new RegExp(`inet ${settings?.IPAddress}/${settings?.IPPrefixLen} `),
  );
  assert.match(await inside(first, "ip", "-o", "link", "show", "eth0"), new RegExp(settings?.MacAddress ?? "none"));
  assert.equal(await inside(first, "ip", "route", "show", "default"), `default via ${settings?.Gateway} dev eth0`);
  await inside(first, "busybox", "ping", "-c", "1", "-W", "2", second.endpoints.bridge?.IPAddress ?? "");
  await inside(first, "busybox", "ping", "-c", "1", "-W", "2", settings?.Gateway ?? "");
  await inside(first, "busybox", "ping", "-c", "1", "-W", "2", "127.0.0.1");
  assert.deepEqual(world.networks.sandbox(one.containerId), first);
  assert.equal(bridge.Containers[one.containerId]?.IPv4Address, `${settings?.IPAddress}/${settings?.IPPrefixLen}`);
  await world.networks.close(one.containerId);
  await world.networks.close(one.containerId);
  assert.equal(world.networks.sandbox(one.containerId), undefined);
  const third = await world.networks.open(requestFor("three"));
  assert.equal(third.endpoints.bridge?.IPAddress, settings?.IPAddress);
  await inside(third, "busybox", "ping", "-c", "1", "-W", "2", second.endpoints.bridge?.IPAddress ?? "");
});

test("with none there is loopback alone, with host no namespace", { skip }, async () => {
  await using world = await makeWorld();
  const none = await world.networks.open(requestFor("none", { primary: "none" }));
  assert.match(await inside(none, "ip", "-o", "link"), /^1: lo: <LOOPBACK,UP,LOWER_UP>[^\n]*$/);
  const host = await world.networks.open(requestFor("host", { primary: "host" }));
  assert.equal(host.netns, undefined);
  assert.equal(host.endpoints.host?.NetworkID, world.networks.inspect("host").Id);
});
