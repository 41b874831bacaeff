import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../kernel/spawn.ts";
import { freePorts } from "../testing/free-port.ts";
import { inside, kernelOf, makeWorld, requestFor, skip, type World } from "./networks.fixture.ts";
import type { Sandbox, SandboxRequest } from "./networks.ts";
import { ask, askFrom, type Machine, makeMachine, serve } from "./traffic.fixture.ts";

const PORT = await freePorts(2);
const OTHER = PORT + 1;
const refused = /ECONNREFUSED|no answer|closed without|EHOSTUNREACH|ENETUNREACH/;
const ping = (address: string | undefined) => ["busybox", "ping", "-c", "1", "-W", "1", address ?? ""];
const mode = (value: string) => ({ "com.docker.network.bridge.gateway_mode_ipv4": value });

async function openOn(
  world: World,
  network: string,
  name: string,
  changes: Partial<SandboxRequest> = {},
): Promise<Sandbox> {
  return world.networks.open(requestFor(name, { primary: network, endpoints: { [network]: {} }, ...changes }));
}

/** Lets the machine send what it has for the subnet to this host, as a router would. */
async function routeTo(machine: Machine, world: World, network: string): Promise<void> {
  const subnet = world.networks.inspect(network).IPAM.Config?.[0]?.Subnet ?? "";
  await run("nsenter", [`--net=${machine.netns}`, "ip", "route", "replace", subnet, "via", machine.hostAddress]);
}

test("in the mode nat a container is reached by its published ports alone; with direct routing at its address too", {
  skip,
}, async () => {
  using machine = await makeMachine("10.213.20");
  const portBindings = { "80/tcp": [{ HostPort: String(PORT) }] };
  for (const allowDirectRouting of [false, true]) {
    await using world = await makeWorld({ allowDirectRouting });
    await world.networks.create({ Name: "app", Options: mode("nat") });
    await routeTo(machine, world, "app");
    const web = await openOn(world, "app", "web", { portBindings });
    const address = web.endpoints.app?.IPAddress ?? "";
    using _server = await serve(web.netns ?? "", 80);
    using _other = await serve(web.netns ?? "", 81);
    assert.equal(await askFrom(machine.netns, "tcp", machine.hostAddress, PORT), machine.address);
    const direct = askFrom(machine.netns, "tcp", address, 80);
    if (allowDirectRouting) assert.equal(await direct, machine.address);
    else await assert.rejects(direct, refused);
    await assert.rejects(askFrom(machine.netns, "tcp", address, 81), refused);
  }
});

test("in the mode nat-unprotected every port is open to who knows the way, but not to other bridges", {
  skip,
}, async () => {
  await using world = await makeWorld();
  using machine = await makeMachine("10.213.21");
  await world.networks.create({ Name: "app", Options: mode("nat-unprotected") });
  await routeTo(machine, world, "app");
  const web = await openOn(world, "app", "web", { portBindings: { "81/tcp": [{ HostPort: String(PORT) }] } });
  const stranger = await world.networks.open(requestFor("stranger"));
  using _server = await serve(web.netns ?? "", 80);
  const address = web.endpoints.app?.IPAddress ?? "";
  assert.equal(await askFrom(machine.netns, "tcp", address, 80), machine.address);
  await assert.rejects(askFrom(stranger.netns ?? "", "tcp", address, 80), refused);
  assert.equal(await askFrom(web.netns ?? "", "tcp", machine.address, 80).catch(() => "refused"), "refused");
});

test("in the mode routed nothing is translated, and published ports are open at the container's own address", {
  skip,
}, async () => {
  await using world = await makeWorld();
  using machine = await makeMachine("10.213.22");
  await world.networks.create({ Name: "app", Options: mode("routed") });
  await routeTo(machine, world, "app");
  const request = requestFor("web", {
    primary: "app",
    portBindings: { "80/tcp": [{ HostPort: String(PORT) }], "80/udp": [{ HostPort: "" }] },
    exposedPorts: ["80/tcp"],
  });
  const web = await world.networks.open(request);
  using _server = await serve(web.netns ?? "", 80);
  using _other = await serve(web.netns ?? "", 81);
  using _machine = await serve(machine.netns, 80);
  const address = web.endpoints.app?.IPAddress ?? "";
  assert.deepEqual(web.ports, { "80/tcp": null });
  for (const transport of ["tcp", "udp"] as const)
    assert.equal(await askFrom(machine.netns, transport, address, 80), machine.address);
  await assert.rejects(askFrom(machine.netns, "tcp", address, 81), refused);
  await assert.rejects(ask("tcp", machine.hostAddress, PORT), refused);
  assert.equal(await askFrom(web.netns ?? "", "tcp", machine.address, 80), address, "no masquerade");
  const stranger = await world.networks.open(requestFor("stranger"));
  assert.ok(await askFrom(stranger.netns ?? "", "tcp", address, 80), "other bridges reach what is published");
  assert.equal((await run("nsenter", [`--net=${machine.netns}`, ...ping(address)])).code, 0);
  await world.networks.connect("bridge", request.containerId, { GwPriority: 1 });
  assert.equal(world.networks.sandbox(request.containerId)?.ports["80/tcp"]?.[0]?.HostPort, String(PORT));
  assert.equal(await askFrom(machine.netns, "tcp", machine.hostAddress, PORT), machine.address);
  await world.networks.disconnect("bridge", request.containerId, false);
  assert.equal(await askFrom(machine.netns, "tcp", address, 80), machine.address);
  await world.networks.close(request.containerId);
  assert.equal((await kernelOf(world)).published, 0);
});

test("in the mode isolated the host has no address on the bridge", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "cell", Internal: true, Options: mode("isolated") });
  const one = await openOn(world, "cell", "one");
  const two = await openOn(world, "cell", "two");
  await inside(one, ...ping(two.endpoints.cell?.IPAddress));
  assert.equal(one.endpoints.cell?.Gateway, "");
  assert.equal(world.networks.inspect("cell").IPAM.Config?.[0]?.Gateway, undefined);
  const bridge = `br-${world.networks.inspect("cell").Id.slice(0, 12)}`;
  assert.equal((await run("ip", ["-4", "-o", "addr", "show", bridge])).stdout.toString(), "");
  await assert.rejects(world.networks.create({ Name: "x", Options: mode("isolated") }), {
    kind: "invalid",
    message: /only be used for an internal network/,
  });
  await assert.rejects(world.networks.create({ Name: "x", Options: mode("upside-down") }), { kind: "invalid" });
});

test("options of a bridge: its name, interface names, outgoing address, trusted links, no address", {
  skip,
}, async () => {
  await using world = await makeWorld({ defaultOptions: { bridge: { "com.docker.network.driver.mtu": "1333" } } });
  using machine = await makeMachine("10.213.23");
  using _machine = await serve(machine.netns, 80);
  await run("ip", ["addr", "add", "10.213.23.77/24", "dev", "gm10-213-23"]);
  await world.networks.create({
    Name: "app",
    Options: {
      "com.docker.network.bridge.name": `gyopt${process.pid % 10_000}`,
      "com.docker.network.container_iface_prefix": "lan",
      "com.docker.network.host_ipv4": "10.213.23.77",
      "com.docker.network.bridge.trusted_host_interfaces": "gm10-213-23",
    },
  });
  await routeTo(machine, world, "app");
  const web = await openOn(world, "app", "web");
  using _server = await serve(web.netns ?? "", OTHER);
  const links = await inside(web, "ip", "-o", "link");
  assert.match(links, /: lan0[@:].* mtu 1333 /);
  assert.equal(await askFrom(web.netns ?? "", "tcp", machine.address, 80), "10.213.23.77");
  assert.equal(await askFrom(machine.netns, "tcp", web.endpoints.app?.IPAddress ?? "", OTHER), machine.address);
  assert.ok((await kernelOf(world)).links.includes(`gyopt${process.pid % 10_000}`));
  await world.networks.create({ Name: "bare", Options: { "com.docker.network.bridge.inhibit_ipv4": "true" } });
  const bridge = `br-${world.networks.inspect("bare").Id.slice(0, 12)}`;
  assert.equal((await run("ip", ["-4", "-o", "addr", "show", bridge])).stdout.toString(), "");
});
