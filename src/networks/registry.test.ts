import assert from "node:assert/strict";
import { test } from "node:test";
import { freePorts } from "../testing/free-port.ts";
import { inside, kernelOf, makeWorld, requestFor, skip } from "./networks.fixture.ts";
import { askFrom, makeMachine, serve } from "./traffic.fixture.ts";

const ping = (address: string | undefined) => ["busybox", "ping", "-c", "1", "-W", "1", address ?? ""];

test("the predefined networks have Docker's shape and keep their ids", { skip }, async () => {
  await using world = await makeWorld();
  const before = world.networks.list();
  assert.deepEqual(before.map(({ Name, Driver }) => `${Name} ${Driver}`).sort(), [
    "bridge bridge",
    "host host",
    "none null",
  ]);
  const bridge = world.networks.inspect("bridge");
  assert.deepEqual(
    Object.keys(bridge).sort(),
    "Attachable ConfigFrom ConfigOnly Containers Created Driver EnableIPv4 EnableIPv6 IPAM Id Ingress Internal Labels Name Options Scope".split(
      " ",
    ),
  );
  assert.equal(bridge.Options["com.docker.network.bridge.default_bridge"], "true");
  assert.equal(world.networks.inspect(bridge.Id.slice(0, 12)).Name, "bridge");
  await world.next();
  assert.deepEqual(world.networks.list(), before);
  for (const name of ["bridge", "host", "none"])
    await assert.rejects(world.networks.remove(name), {
      kind: "forbidden",
      message: `${name} is a pre-defined network and cannot be removed`,
    });
  assert.throws(() => world.networks.inspect("nothing"), { kind: "not-found", message: "network nothing not found" });
});

test("networks of the user's come and go, with the addresses that they name", { skip }, async () => {
  await using world = await makeWorld();
  const { networks } = world;
  const config = { Subnet: "10.214.3.0/24", IPRange: "10.214.3.128/25", Gateway: "10.214.3.254" };
  const { Id } = await networks.create({ Name: "app", IPAM: { Config: [config] }, Labels: { a: "b" } });
  assert.deepEqual(networks.inspect("app").IPAM.Config, [config]);
  await assert.rejects(networks.create({ Name: "app" }), {
    kind: "conflict",
    message: "network with name app already exists",
  });
  await assert.rejects(networks.create({ Name: "two", IPAM: { Config: [{ Subnet: "10.214.0.0/16" }] } }), {
    kind: "forbidden",
    message: "invalid pool request: Pool overlaps with other one on this address space",
  });
  await assert.rejects(networks.create({ Name: "x", Driver: "magic" }), { kind: "not-found" });
  await assert.rejects(networks.create({ Name: "x", Driver: "host" }), { kind: "forbidden" });
  const auto = await networks.open(requestFor("auto", { primary: "app" }));
  assert.equal(auto.endpoints.app?.IPAddress, "10.214.3.128");
  assert.equal(await inside(auto, "ip", "route", "show", "default"), "default via 10.214.3.254 dev eth0");
  const fixed = (address: string) => ({ primary: "app", endpoints: { app: { IPAMConfig: { IPv4Address: address } } } });
  const named = await networks.open(requestFor("named", fixed("10.214.3.7")));
  assert.equal(named.endpoints.app?.IPAddress, "10.214.3.7");
  await inside(auto, ...ping("10.214.3.7"));
  await assert.rejects(networks.open(requestFor("again", fixed("10.214.3.7"))), { message: "Address already in use" });
  await assert.rejects(networks.open(requestFor("far", fixed("10.9.9.9"))), { kind: "invalid" });
  await assert.rejects(
    networks.open(requestFor("b", { endpoints: { bridge: { IPAMConfig: { IPv4Address: "172.17.0.9" } } } })),
    {
      message: "user specified IP address is supported on user defined networks only",
    },
  );
  await assert.rejects(networks.remove("app"), { kind: "forbidden", message: /network app has active endpoints/ });
  for (const id of Object.keys(networks.inspect("app").Containers)) await networks.close(id);
  await networks.remove("app");
  assert.ok(!(await kernelOf(world)).links.includes(`br-${Id.slice(0, 12)}`));
  assert.deepEqual(
    world.events.filter(({ id }) => id === Id).map(({ action }) => action),
    ["create", "connect", "connect", "disconnect", "disconnect", "destroy"],
  );
});

test("a network that is full says so, and an address is free again after its container", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "tiny", IPAM: { Config: [{ Subnet: "10.214.9.0/30" }] } });
  const one = requestFor("one", { primary: "tiny" });
  await world.networks.open(one);
  const two = requestFor("two", { primary: "tiny" });
  await assert.rejects(world.networks.open(two), {
    message: /^no available IPv4 addresses on this network's address pools: tiny /,
  });
  await world.networks.close(one.containerId);
  assert.equal((await world.networks.open(two)).endpoints.tiny?.IPAddress, "10.214.9.2");
});

test("bridges are apart, and an internal one has no way out", { skip }, async () => {
  await using world = await makeWorld();
  using machine = await makeMachine("10.213.9");
  await world.networks.create({ Name: "inner", Internal: true });
  const outer = await world.networks.open(requestFor("outer"));
  const inner = await world.networks.open(requestFor("inner", { primary: "inner" }));
  const friend = await world.networks.open(requestFor("friend", { primary: "inner" }));
  await inside(outer, ...ping(machine.address));
  await inside(inner, ...ping(friend.endpoints.inner?.IPAddress));
  await assert.rejects(inside(inner, ...ping(outer.endpoints.bridge?.IPAddress)));
  await assert.rejects(inside(outer, ...ping(inner.endpoints.inner?.IPAddress)));
  await inside(
    inner,
    "ip",
    "route",
    "add",
    "default",
    "via",
    world.networks.inspect("inner").IPAM.Config?.[0]?.Gateway ?? "",
  );
  await assert.rejects(inside(inner, ...ping(machine.address)));
});

test("without inter-container communication neighbours reach each other's published ports alone", {
  skip,
}, async () => {
  await using world = await makeWorld({ icc: false });
  const port = await freePorts(1);
  const web = await world.networks.open(requestFor("web", { portBindings: { "80/tcp": [{ HostPort: `${port}` }] } }));
  const other = await world.networks.open(requestFor("other"));
  const { IPAddress = "", Gateway = "" } = web.endpoints.bridge ?? {};
  using _server = await serve(web.netns ?? "", 80);
  await assert.rejects(inside(other, ...ping(IPAddress)));
  await assert.rejects(askFrom(other.netns ?? "", "tcp", IPAddress, 80));
  assert.ok(await askFrom(other.netns ?? "", "tcp", Gateway, port));
});

test("a network with IPv6 gives its containers addresses of both kinds", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "six", EnableIPv6: true });
  const one = await world.networks.open(requestFor("one", { primary: "six" }));
  const two = await world.networks.open(requestFor("two", { primary: "six" }));
  assert.match(two.endpoints.six?.GlobalIPv6Address ?? "", /^fd.*::3$/);
  await inside(one, "busybox", "ping", "-6", "-c", "1", "-W", "2", two.endpoints.six?.GlobalIPv6Address ?? "");
  await inside(one, "busybox", "ping", "-6", "-c", "1", "-W", "2", two.endpoints.six?.IPv6Gateway ?? "");
});

test("the daemon's settings shape the default bridge", { skip }, async () => {
  await using world = await makeWorld({
    bip: "10.215.1.1/16",
    fixedCidr: "10.215.7.0/24",
    defaultGateway: "10.215.1.254",
    mtu: 1280,
    bridge: "gytest-br0",
  });
  const sandbox = await world.networks.open(requestFor("one"));
  const [config] = world.networks.inspect("bridge").IPAM.Config ?? [];
  assert.equal(config?.Subnet, "10.215.0.0/16");
  assert.equal(sandbox.endpoints.bridge?.IPAddress, "10.215.7.0");
  assert.equal(sandbox.endpoints.bridge?.Gateway, "10.215.1.254");
  assert.match(await inside(sandbox, "ip", "-o", "link", "show", "eth0"), / mtu 1280 /);
  assert.deepEqual((await kernelOf(world)).links.includes("gytest-br0"), true);
});

test("pools of the daemon's come before Docker's, and what the host uses is left out", { skip }, async () => {
  using _machine = await makeMachine("10.216.0");
  await using world = await makeWorld({ defaultAddressPools: [{ base: "10.216.0.0/22", size: 24 }] });
  assert.equal(world.networks.inspect("bridge").IPAM.Config?.[0]?.Subnet, "10.216.1.0/24");
  await world.networks.create({ Name: "a" });
  assert.equal(world.networks.inspect("a").IPAM.Config?.[0]?.Subnet, "10.216.2.0/24");
  await world.networks.create({ Name: "b" });
  await assert.rejects(world.networks.create({ Name: "c" }), {
    message: "all predefined address pools have been fully subnetted",
  });
});

test("without a default bridge nothing is made, and containers have none", { skip }, async () => {
  await using world = await makeWorld({ bridge: "none" });
  await world.networks.restore(new Set());
  assert.deepEqual(
    world.networks
      .list()
      .map(({ Name }) => Name)
      .sort(),
    ["host", "none"],
  );
  const sandbox = await world.networks.open(requestFor("one"));
  assert.equal(sandbox.endpoints.none?.NetworkID, world.networks.inspect("none").Id);
  assert.equal((await kernelOf(world)).published, undefined);
});

test("sixty networks at once have sixty subnets, and leave nothing", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  const names = Array.from({ length: 60 }, (_, index) => `many-${index}`);
  await Promise.all(names.map((Name) => world.networks.create({ Name })));
  const subnets = names.map((name) => world.networks.inspect(name).IPAM.Config?.[0]?.Subnet);
  assert.equal(new Set(subnets).size, 60);
  await Promise.all(names.map((name) => world.networks.remove(name)));
  assert.equal((await kernelOf(world)).links.filter((name) => name.startsWith("br-")).length, 0);
});
