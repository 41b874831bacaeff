import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointSettings } from "../api/types/network.ts";
import type { ErrorKind } from "../base/errors.ts";
import { freePorts } from "../testing/free-port.ts";
import { inside, kernelOf, makeWorld, requestFor, skip, type World } from "./networks.fixture.ts";
import type { Sandbox, SandboxRequest } from "./networks.ts";
import { ask, serve } from "./traffic.fixture.ts";

const PORT = await freePorts(1);
const ping = (address: string | undefined) => ["busybox", "ping", "-c", "1", "-W", "2", address ?? ""];
const defaultRoute = (sandbox: Sandbox) => inside(sandbox, "ip", "route", "show", "default");
const now = (world: World, { containerId }: SandboxRequest): Sandbox =>
  world.networks.sandbox(containerId) ?? assert.fail("no sandbox");

/** Waits for what is over a moment after the call. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await check();
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test("a running container joins and leaves networks", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "side" });
  const request = requestFor("main");
  const main = await world.networks.open(request);
  const peer = await world.networks.open(requestFor("peer", { primary: "side" }));
  await world.networks.connect("side", request.containerId, { Aliases: ["m"] });
  const joined = now(world, request);
  assert.deepEqual(Object.keys(joined.endpoints), ["bridge", "side"]);
  assert.deepEqual(joined.endpoints.side?.DNSNames, ["main", "m", request.containerId.slice(0, 12)]);
  await inside(main, ...ping(peer.endpoints.side?.IPAddress));
  const address = joined.endpoints.side?.IPAddress ?? "none";
  assert.match(await inside(main, "ip", "-o", "-4", "addr", "show", "eth1"), new RegExp(address));
  await assert.rejects(world.networks.connect("side", request.containerId, {}), { kind: "forbidden" });
  await world.networks.disconnect("side", request.containerId, false);
  await assert.rejects(inside(main, ...ping(peer.endpoints.side?.IPAddress)));
  await eventually(() => assert.rejects(inside(main, "ip", "link", "show", "eth1")));
  await assert.rejects(world.networks.disconnect("side", request.containerId, false), { kind: "forbidden" });
  await world.networks.disconnect("side", request.containerId, true);
  // At once again: the name eth1 may still belong to the link that goes.
  for (let round = 0; round < 3; round++) {
    await world.networks.connect("side", request.containerId, {});
    await inside(main, ...ping(peer.endpoints.side?.IPAddress));
    await world.networks.disconnect("side", request.containerId, false);
  }
});

test("the default route goes by priority, then by name, and follows who comes and goes", { skip }, async () => {
  await using world = await makeWorld();
  for (const Name of ["anna", "zoe"]) await world.networks.create({ Name, EnableIPv6: Name === "zoe" });
  const gateway = (name: string) => world.networks.inspect(name).IPAM.Config?.[0]?.Gateway;
  const request = requestFor("main");
  const main = await world.networks.open(request);
  await world.networks.connect("zoe", request.containerId, {});
  assert.equal(await defaultRoute(main), `default via ${gateway("bridge")} dev eth0`);
  const v6 = now(world, request).endpoints.zoe?.IPv6Gateway;
  assert.match(await inside(main, "ip", "-6", "route", "show", "default"), new RegExp(`^default via ${v6} dev eth1`));
  await world.networks.connect("anna", request.containerId, {});
  assert.equal(await defaultRoute(main), `default via ${gateway("anna")} dev eth2`);
  await world.networks.disconnect("anna", request.containerId, false);
  assert.equal(await defaultRoute(main), `default via ${gateway("bridge")} dev eth0`);
  await world.networks.connect("anna", request.containerId, { GwPriority: -1 });
  assert.equal(await defaultRoute(main), `default via ${gateway("bridge")} dev eth0`);
  await world.networks.disconnect("bridge", request.containerId, false);
  assert.equal(await defaultRoute(main), `default via ${gateway("zoe")} dev eth1`);
  await world.networks.disconnect("zoe", request.containerId, false);
  assert.equal(await defaultRoute(main), `default via ${gateway("anna")} dev eth2`);
  assert.equal(await inside(main, "ip", "-6", "route", "show", "default"), "");
  await world.networks.disconnect("anna", request.containerId, false);
  assert.equal(await defaultRoute(main), "");
  const priorities = { bridge: {}, anna: {}, zoe: { GwPriority: 5 } };
  const other = await world.networks.open(requestFor("other", { primary: "bridge", endpoints: priorities }));
  assert.equal(await defaultRoute(other), `default via ${gateway("zoe")} dev eth2`);
});

test("published ports follow the gateway, at the host ports that were chosen", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "app" });
  const portBindings = { "80/tcp": [{ HostPort: String(PORT) }, { HostPort: "" }] };
  const request = requestFor("web", { primary: "bridge", portBindings });
  const web = await world.networks.open(request);
  using _server = await serve(web.netns ?? "", 80);
  const ports = web.ports["80/tcp"] ?? [];
  const check = async () => {
    assert.deepEqual(now(world, request).ports["80/tcp"], ports);
    for (const { HostPort } of ports) assert.ok(await ask("tcp", "127.0.0.1", Number(HostPort)));
  };
  await check();
  await world.networks.connect("app", request.containerId, {});
  await check();
  await world.networks.disconnect("bridge", request.containerId, false);
  await check();
  assert.equal((await kernelOf(world)).published, 2);
  await world.networks.disconnect("app", request.containerId, false);
  assert.deepEqual(now(world, request).ports, {});
  assert.equal((await kernelOf(world)).published, 0);
  await world.networks.connect("app", request.containerId, {});
  assert.equal(now(world, request).ports["80/tcp"]?.[0]?.HostPort, String(PORT));
  assert.ok(await ask("tcp", "127.0.0.1", PORT));
});

test("an endpoint has the addresses, the MAC address, the interface and the parameters that were asked for", {
  skip,
}, async () => {
  await using world = await makeWorld();
  const IPAM = { Config: [{ Subnet: "10.214.20.0/24" }, { Subnet: "fd00:2020::/64" }] };
  await world.networks.create({ Name: "own", EnableIPv6: true, IPAM });
  const request = requestFor("main");
  const main = await world.networks.open(request);
  const IPAMConfig = { IPv4Address: "10.214.20.77", IPv6Address: "fd00:2020::77", LinkLocalIPs: ["169.254.20.77"] };
  const DriverOpts = {
    "com.docker.network.endpoint.ifname": "wan",
    "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0",
  };
  await world.networks.connect("own", request.containerId, { IPAMConfig, DriverOpts, MacAddress: "02:42:0a:0b:0c:0d" });
  const shown = await inside(main, "ip", "-o", "addr", "show", "wan");
  for (const part of ["10.214.20.77/24", "fd00:2020::77/64", "169.254.20.77/16"]) assert.match(shown, new RegExp(part));
  assert.match(await inside(main, "ip", "-o", "link", "show", "wan"), /02:42:0a:0b:0c:0d/);
  assert.equal(await inside(main, "cat", "/proc/sys/net/ipv4/conf/wan/log_martians"), "1");
  const settings = now(world, request).endpoints.own;
  assert.deepEqual(
    [settings?.IPAddress, settings?.GlobalIPv6Address, settings?.MacAddress, settings?.IPAMConfig],
    ["10.214.20.77", "fd00:2020::77", "02:42:0a:0b:0c:0d", IPAMConfig],
  );
  const first = requestFor("first", { primary: "own", endpoints: { own: { DriverOpts } } });
  assert.match(await inside(await world.networks.open(first), "ip", "route", "show", "default"), / dev wan$/);
});

test("what cannot be joined is refused and leaves nothing", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "own", IPAM: { Config: [{ Subnet: "10.214.21.0/24" }] } });
  await world.networks.create({ Name: "pool" });
  const request = requestFor("main");
  const main = await world.networks.open(request);
  const host = requestFor("host", { primary: "host" });
  const none = requestFor("none", { primary: "none" });
  for (const one of [host, none]) await world.networks.open(one);
  const ip = (IPv4Address: string) => ({ IPAMConfig: { IPv4Address } });
  const option = (name: string, value: string) => ({ DriverOpts: { [`com.docker.network.endpoint.${name}`]: value } });
  const cases: [string, SandboxRequest, EndpointSettings, ErrorKind, RegExp][] = [
    ["nothing", request, {}, "not-found", /network nothing not found/],
    ["host", request, {}, "invalid", /connected to host network/],
    ["none", request, {}, "invalid", /private \(none\) mode/],
    ["own", none, {}, "invalid", /private \(none\) mode/],
    ["own", host, {}, "invalid", /sharing network namespace with another container or host/],
    ["own", requestFor("stopped"), {}, "conflict", /is not running/],
    ["pool", request, ip("172.20.0.9"), "invalid", /networks with user configured subnets/],
    ["own", request, ip("10.9.9.9"), "invalid", /no configured subnet contains IP address 10.9.9.9/],
    ["own", request, ip("fd00::1"), "invalid", /invalid IPv4 address/],
    ["own", request, ip("10.214.21.1"), "forbidden", /Address already in use/],
    ["own", request, { MacAddress: "02:42" }, "invalid", /invalid MAC address/],
    ["own", request, { IPAMConfig: { LinkLocalIPs: ["10.0.0.1"] } }, "invalid", /link-local/],
    ["own", request, option("ifname", "a/b"), "invalid", /invalid interface name/],
    ["own", request, option("ifname", "eth0"), "conflict", /has an interface eth0 already/],
    ["own", request, option("sysctls", "kernel.core_pattern=x"), "invalid", /invalid endpoint sysctl/],
    ["own", request, option("sysctls", "net.ipv4.conf.IFNAME.no_such=1"), "invalid", /no_such/],
  ];
  for (const [network, { containerId }, settings, kind, message] of cases)
    await assert.rejects(world.networks.connect(network, containerId, settings), { kind, message });
  assert.deepEqual(Object.keys(now(world, request).endpoints), ["bridge"]);
  await eventually(async () => assert.equal((await inside(main, "ip", "-o", "link")).split("\n").length, 2));
  assert.deepEqual(world.networks.inspect("own").Containers, {});
  await world.networks.connect("own", request.containerId, ip("10.214.21.2"));
});

test("what a killed engine was about to join or leave is ended by the next", { skip }, async () => {
  await using world = await makeWorld();
  for (const Name of ["side", "other"]) await world.networks.create({ Name });
  const request = requestFor("main", { portBindings: { "80/tcp": [{ HostPort: String(PORT + 1) }] } });
  const main = await world.networks.open(request);
  await world.networks.connect("side", request.containerId, {});
  await world.networks.connect("other", request.containerId, {});
  // As after a kill in the midst of leaving one and of joining the other, which has no link yet.
  world.store.run("UPDATE endpoints SET joined = 0 WHERE network_name = 'side'");
  world.store.run("UPDATE endpoints SET joined = 0, host_link = 'gyabsent' WHERE network_name = 'other'");
  await world.next();
  await world.networks.restore(new Set([request.containerId]));
  assert.deepEqual(Object.keys(now(world, request).endpoints), ["bridge"]);
  await eventually(async () => assert.equal((await inside(main, "ip", "-o", "link")).split("\n").length, 2));
  assert.match(await defaultRoute(main), / dev eth0$/);
  for (const name of ["side", "other"]) await world.networks.remove(name);
});
