import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import type { PortMap } from "../api/types/container.ts";
import { applyRuleset } from "../kernel/nftables.ts";
import { makeNames } from "./names.ts";
import { inside, kernelOf, makeWorld, requestFor, skip } from "./networks.fixture.ts";
import { ask, askFrom, makeMachine, serve } from "./traffic.fixture.ts";

const BOTH = ["tcp", "udp"] as const;
const refused = /ECONNREFUSED|no answer|closed without/;

/** The tests of this file run one after another; others beside them use other ports. */
const [PORT, OTHER] = [21873, 21874];

function publish(port: number, hostIp = ""): PortMap {
  const bindings = [{ HostIp: hostIp, HostPort: String(port) }];
  return { "80/tcp": bindings, "80/udp": bindings };
}

test("a published port answers on every address of the host, and from everywhere", { skip }, async (t) => {
  await using world = await makeWorld();
  using machine = await makeMachine("10.213.7");
  const sandbox = await world.networks.open(requestFor("web", { portBindings: publish(PORT) }));
  const neighbour = await world.networks.open(requestFor("neighbour"));
  await world.networks.create({ Name: "elsewhere" });
  const stranger = await world.networks.open(requestFor("stranger", { primary: "elsewhere" }));
  const settings = sandbox.endpoints.bridge;
  const [gateway, address] = [settings?.Gateway ?? "", settings?.IPAddress ?? ""];
  using _server = await serve(sandbox.netns ?? "", 80);
  assert.deepEqual(sandbox.ports["80/tcp"], [{ HostIp: "0.0.0.0", HostPort: String(PORT) }]);
  for (const transport of BOTH) {
    await t.test(`${transport}: 127.0.0.1`, async () => assert.equal(await ask(transport, "127.0.0.1", PORT), gateway));
    await t.test(`${transport}: another address of the host`, async () =>
      assert.equal(await ask(transport, machine.hostAddress, PORT), machine.hostAddress),
    );
    await t.test(`${transport}: another machine, whose address is kept`, async () =>
      assert.equal(await askFrom(machine.netns, transport, machine.hostAddress, PORT), machine.address),
    );
    await t.test(`${transport}: the container itself`, async () =>
      assert.equal(await askFrom(sandbox.netns ?? "", transport, machine.hostAddress, PORT), gateway),
    );
    await t.test(`${transport}: its neighbour`, async () =>
      assert.equal(await askFrom(neighbour.netns ?? "", transport, gateway, PORT), gateway),
    );
    await t.test(`${transport}: a container of another bridge`, async () =>
      assert.ok(await askFrom(stranger.netns ?? "", transport, machine.hostAddress, PORT)),
    );
    await t.test(`${transport}: the neighbour reaches the container itself`, async () =>
      assert.equal(await askFrom(neighbour.netns ?? "", transport, address, 80), neighbour.endpoints.bridge?.IPAddress),
    );
    await t.test(`${transport}: nobody else reaches the container past its published port`, async () => {
      await assert.rejects(askFrom(stranger.netns ?? "", transport, address, 80), refused);
      await assert.rejects(askFrom(machine.netns, transport, address, 80), refused);
    });
  }
  assert.deepEqual(
    world.logs.filter((line) => /^(warn|error)/.test(line)),
    [],
  );
});

test("a port published at 127.0.0.1 is for this host alone", { skip }, async () => {
  await using world = await makeWorld();
  using machine = await makeMachine("10.213.8");
  const sandbox = await world.networks.open(requestFor("web", { portBindings: publish(PORT, "127.0.0.1") }));
  using _server = await serve(sandbox.netns ?? "", 80);
  for (const transport of BOTH) {
    assert.ok(await ask(transport, "127.0.0.1", PORT));
    await assert.rejects(ask(transport, machine.hostAddress, PORT), refused);
    await assert.rejects(askFrom(machine.netns, transport, machine.hostAddress, PORT), refused);
  }
});

test("containers do not reach the host's own loopback, however hard they try", { skip }, async () => {
  await using world = await makeWorld();
  const sandbox = await world.networks.open(requestFor("nosy"));
  const { Gateway = "" } = sandbox.endpoints.bridge ?? {};
  const server = createServer((socket) => socket.end("secret")).listen(OTHER, "127.0.0.1");
  try {
    await inside(sandbox, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip addr flush dev lo");
    await inside(sandbox, "ip", "route", "add", "127.0.0.1/32", "via", Gateway, "dev", "eth0");
    const attempt = () => askFrom(sandbox.netns ?? "", "tcp", "127.0.0.1", OTHER);
    await assert.rejects(attempt(), refused);
    await applyRuleset(`flush chain inet ${makeNames(world.paths.dataRoot).table} raw\n`);
    assert.equal(await attempt(), "secret", "the rule is what keeps them from it");
  } finally {
    server.close();
  }
});

test("a port is refused that another container or a process of the host has, and nothing is left of the attempt", {
  skip,
}, async () => {
  await using world = await makeWorld();
  const first = requestFor("first", { portBindings: publish(PORT) });
  await world.networks.open(first);
  const before = await kernelOf(world);
  const taken = requestFor("second", { portBindings: publish(PORT, "127.0.0.1") });
  await assert.rejects(world.networks.open(taken), {
    kind: "internal",
    message: new RegExp(
      `driver failed programming external connectivity on endpoint second \\([0-9a-f]{64}\\): Bind for 127\\.0\\.0\\.1:${PORT} failed: port is already allocated$`,
    ),
  });
  assert.equal(world.networks.sandbox(taken.containerId), undefined);
  const server = createServer().listen(OTHER, "127.0.0.1");
  try {
    await new Promise((resolve) => server.once("listening", resolve));
    await assert.rejects(world.networks.open(requestFor("third", { portBindings: publish(OTHER) })), {
      message: new RegExp(
        `failed to bind host port for 0\\.0\\.0\\.0:${OTHER}:[0-9.]+:80/tcp: address already in use$`,
      ),
    });
  } finally {
    server.close();
  }
  const after = await kernelOf(world);
  assert.equal(after.published, before.published);
  await world.networks.close(first.containerId);
  assert.equal((await kernelOf(world)).published, 0);
  assert.ok((await world.networks.open(taken)).ports["80/tcp"]);
});

test("no process of the host can take a published port", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.open(requestFor("web", { portBindings: publish(PORT) }));
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
    server.once("error", resolve).listen(PORT, "127.0.0.1"),
  );
  assert.equal(error.code, "EADDRINUSE");
});

test("ranges and random ports find what is free; exposed ports that are not published are listed", {
  skip,
}, async () => {
  await using world = await makeWorld();
  const range = `${PORT}-${PORT + 2}`;
  const ask = () =>
    requestFor("one", { portBindings: { "80": [{ HostPort: range }] }, exposedPorts: ["80/tcp", "443/tcp"] });
  const ports = async () => (await world.networks.open(ask())).ports;
  const first = await ports();
  assert.deepEqual(first, { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: String(PORT) }], "443/tcp": null });
  assert.equal((await ports())["80/tcp"]?.[0]?.HostPort, String(PORT + 1));
  await ports();
  await assert.rejects(ports(), /port is already allocated/);
  const random = await world.networks.open(
    requestFor("all", { publishAll: ["80/tcp", "53/udp"], exposedPorts: ["80/tcp", "53/udp"] }),
  );
  for (const key of ["80/tcp", "53/udp"]) assert.ok(Number(random.ports[key]?.[0]?.HostPort) >= 32768);
  await assert.rejects(world.networks.open(requestFor("bad", { portBindings: { "80/tcp": [{ HostPort: "http" }] } })), {
    kind: "invalid",
  });
});

test("published ports work again after someone flushed the firewall, and after the next start", { skip }, async () => {
  await using world = await makeWorld();
  const request = requestFor("web", { portBindings: publish(PORT) });
  const sandbox = await world.networks.open(request);
  using _server = await serve(sandbox.netns ?? "", 80);
  const { table } = makeNames(world.paths.dataRoot);
  const flush = () => applyRuleset(`delete table inet ${table}\n`);
  const check = async () => {
    for (const transport of BOTH) assert.ok(await ask(transport, "127.0.0.1", PORT));
  };
  await flush();
  await assert.rejects(ask("tcp", "127.0.0.1", PORT), refused);
  const other = requestFor("other", { portBindings: { "81/tcp": [{ HostPort: String(OTHER) }] } });
  await world.networks.open(other);
  await check();
  await flush();
  await world.networks.close(other.containerId);
  await check();
  await flush();
  await world.next();
  await world.networks.restore(new Set([request.containerId]));
  await check();
});

test("a published port over IPv6 reaches a container that has an address for it", { skip }, async () => {
  await using world = await makeWorld({ ipv6: true });
  const sandbox = await world.networks.open(requestFor("web", { portBindings: publish(PORT) }));
  using _server = await serve(sandbox.netns ?? "", 80);
  assert.deepEqual(
    sandbox.ports["80/tcp"]?.map(({ HostIp }) => HostIp),
    ["0.0.0.0", "::"],
  );
  const gateway = sandbox.endpoints.bridge?.IPv6Gateway ?? "";
  for (const transport of BOTH) {
    assert.ok(await ask(transport, "127.0.0.1", PORT));
    assert.equal(await ask(transport, gateway, PORT), gateway);
  }
});

test("without the firewall's rules a port is held and nothing more", { skip }, async () => {
  await using world = await makeWorld({ iptables: false });
  await world.networks.open(requestFor("web", { portBindings: publish(PORT) }));
  assert.equal((await kernelOf(world)).published, undefined);
  assert.ok(world.logs.some((line) => line.startsWith("warn ports are not reachable")));
});
