import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { closeSync } from "node:fs";
import { createServer, Socket } from "node:net";
import { test } from "node:test";
import type { PortMap } from "../api/types/container.ts";
import { bindSocket } from "../kernel/netns.ts";
import { applyRuleset, listTable } from "../kernel/nftables.ts";
import { killProcess, pipe, spawn } from "../kernel/spawn.ts";
import { freePorts } from "../testing/free-port.ts";
import type { BridgeRules } from "./bridge-sets.ts";
import { makeNames } from "./names.ts";
import { inside, kernelOf, makeWorld, requestFor, skip } from "./networks.fixture.ts";
import type { Sandbox } from "./networks.ts";
import { ruleset } from "./ruleset.ts";
import { ask, askFrom, makeMachine, serve } from "./traffic.fixture.ts";

const BOTH = ["tcp", "udp"] as const;
const refused = /ECONNREFUSED|no answer|closed without/;

/** The tests of this file run one after another; one needs three in a row. */
const PORT = await freePorts(4);
const OTHER = PORT + 3;

const bindings = (port: number) => ["0.0.0.0", "::"].map((HostIp) => ({ HostIp, HostPort: String(port) }));

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
  assert.deepEqual(sandbox.ports["80/tcp"], bindings(PORT));
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
    const withoutTheRule = async () => {
      // The engine puts back what it misses, and a busy machine may take its time to answer.
      for (let times = 0; times < 20; times++) {
        await applyRuleset(`flush set inet ${makeNames(world.paths.dataRoot).table} bridges\n`);
        const answer = await attempt().catch(() => "");
        if (answer !== "") return answer;
      }
      return "";
    };
    assert.equal(await withoutTheRule(), "secret", "the rule is what keeps them from it");
  } finally {
    server.close();
  }
});

test("rules that an engine left behind do nothing to another's containers, be it on the same subnet", {
  skip,
}, async () => {
  await using world = await makeWorld();
  const [one, two] = [await world.networks.open(requestFor("one")), await world.networks.open(requestFor("two"))];
  using _server = await serve(one.netns ?? "", 80);
  const subnet = world.networks.inspect("bridge").IPAM.Config?.[0]?.Subnet ?? "";
  const table = `gantry_stale_${process.pid}`;
  const options = { table, owner: "", ipv6: true, throughInput: false, acceptMark: undefined };
  const gone: BridgeRules = {
    index: 2 ** 31 - 1,
    subnets: [subnet],
    masquerade: { 4: "", 6: "" },
    internal: false,
    icc: false,
    unprotected: { 4: false, 6: false },
    routed: { 4: false, 6: false },
    trusted: [],
  };
  await applyRuleset(ruleset(options, { bridges: [gone], ports: [], opened: [] }));
  try {
    const { IPAddress = "" } = one.endpoints.bridge ?? {};
    for (const transport of BOTH)
      assert.equal(await askFrom(two.netns ?? "", transport, IPAddress, 80), two.endpoints.bridge?.IPAddress);
  } finally {
    await applyRuleset(`delete table inet ${table}\n`);
  }
});

test("a container may publish hundreds of ports", { skip }, async () => {
  await using world = await makeWorld();
  const portBindings = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`${1000 + index}/tcp`, [{}]]));
  const request = requestFor("many", { portBindings });
  await world.networks.open(request);
  assert.equal((await kernelOf(world)).published, 600);
  await world.networks.close(request.containerId);
  assert.equal((await kernelOf(world)).published, 0);
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

test("a port is refused that leads to a container of an engine that does not run", { skip }, async () => {
  await using dead = await makeWorld();
  await using world = await makeWorld();
  await dead.networks.open(requestFor("first", { portBindings: publish(PORT) }));
  await dead.networks.dispose();
  for (const address of [undefined, "127.0.0.1"])
    await assert.rejects(world.networks.open(requestFor("second", { portBindings: publish(PORT, address) })), {
      kind: "internal",
      message: new RegExp(`Bind for \\S+:${PORT} failed: port is already allocated$`),
    });
  const range = { "80/tcp": [{ HostPort: `${PORT}-${PORT + 20}` }] };
  const other = await world.networks.open(requestFor("third", { portBindings: range }));
  assert.notEqual(other.ports["80/tcp"]?.[0]?.HostPort, String(PORT));
  await dead.next();
  await dead.networks.restore(new Set());
  assert.ok(await world.networks.open(requestFor("fourth", { portBindings: publish(PORT) })));
});

test("rules that somebody exchanges for others, as many, are written again", { skip }, async () => {
  await using world = await makeWorld();
  const sandbox = await world.networks.open(requestFor("web", { portBindings: publish(PORT) }));
  using _server = await serve(sandbox.netns ?? "", 80);
  const { table } = makeNames(world.paths.dataRoot);
  const objects = (await listTable("inet", table)) ?? [];
  const rules = objects.flatMap(({ rule }) => (rule as { chain: string; handle: number } | undefined) ?? []);
  const commands = rules.map(({ chain, handle }) => `replace rule inet ${table} ${chain} handle ${handle} counter`);
  await applyRuleset(`${commands.join("\n")}\n`);
  const counts = async () =>
    ((await listTable("inet", table)) ?? []).filter(({ rule }) =>
      /^\[{"counter":[^[]*\]$/.test(JSON.stringify((rule as { expr?: object })?.expr) ?? ""),
    );
  const told = () => world.logs.some((line) => line.includes("the firewall table was changed by someone else"));
  while (!told()) await new Promise((resolve) => setTimeout(resolve, 50));
  while ((await counts()).length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(await ask("tcp", "127.0.0.1", PORT));
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
  assert.deepEqual(first, { "80/tcp": bindings(PORT), "443/tcp": null });
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
  const other = requestFor("other", { portBindings: { "81/tcp": [{ HostPort: String(OTHER) }] } });
  await flush();
  await world.networks.open(other);
  assert.equal((await kernelOf(world)).published, 3);
  await flush();
  await world.networks.close(other.containerId);
  await check();
  assert.equal((await kernelOf(world)).published, 2);
  await flush();
  while ((await kernelOf(world)).published !== 2) await new Promise((resolve) => setTimeout(resolve, 50));
  await check();
  await flush();
  await world.next();
  await world.networks.restore(new Set([request.containerId]));
  await check();
});

test("a published port over IPv6 reaches every container, and keeps the caller's address where it can", {
  skip,
}, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "six", EnableIPv6: true });
  const four = await world.networks.open(requestFor("four", { portBindings: publish(PORT) }));
  const six = await world.networks.open(requestFor("six", { primary: "six", portBindings: publish(OTHER) }));
  using _four = await serve(four.netns ?? "", 80);
  using _six = await serve(six.netns ?? "", 80);
  const host = six.endpoints.six?.IPv6Gateway ?? "";
  for (const transport of BOTH) {
    for (const port of [PORT, OTHER])
      for (const address of ["127.0.0.1", "::1", host])
        assert.ok(await ask(transport, address, port), `${address} ${port}`);
    assert.equal(await ask(transport, "::1", PORT), four.endpoints.bridge?.Gateway, "passed on to IPv4");
    assert.equal(await ask(transport, "::1", OTHER), host, "passed on to IPv6");
    assert.equal(await ask(transport, host, OTHER), host, "translated by the kernel");
  }
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask("tcp", "::1", PORT)));
  assert.equal(answers.length, 50);
});

test("without proxies IPv6 alone reaches who has IPv6", { skip }, async () => {
  await using world = await makeWorld({ userlandProxy: false });
  const four = await world.networks.open(requestFor("four", { portBindings: publish(PORT) }));
  assert.deepEqual(four.ports["80/tcp"], [{ HostIp: "0.0.0.0", HostPort: String(PORT) }]);
  await assert.rejects(ask("tcp", "::1", PORT), refused);
  const far = requestFor("far", { portBindings: publish(OTHER, "fd00::99") });
  await assert.rejects(world.networks.open(far), { kind: "invalid", message: /has no IPv6 address/ });
});

test("without the firewall's rules a process passes on what comes in at a port", { skip }, async () => {
  await using world = await makeWorld({ iptables: false });
  const sandbox = await world.networks.open(requestFor("web", { portBindings: publish(PORT) }));
  using _server = await serve(sandbox.netns ?? "", 80);
  assert.equal((await kernelOf(world)).published, undefined);
  for (const transport of BOTH)
    for (const address of ["127.0.0.1", "::1"]) assert.ok(await ask(transport, address, PORT));
});

test("published ports obey the host's input rules when they are told to", { skip }, async () => {
  using machine = await makeMachine("10.213.10");
  const table = `gantry_input_${process.pid}`;
  const rules = `table inet ${table} {
  chain input {
    type filter hook input priority 0
    ip saddr ${machine.address} meta l4proto { tcp, udp } th dport ${PORT} drop
  }
}\n`;
  await applyRuleset(rules);
  try {
    for (const publishThrough of ["forward", "input"] as const) {
      await using world = await makeWorld({ publishThrough });
      const portBindings = { ...publish(PORT), "81/tcp": [{ HostPort: String(OTHER) }] };
      const sandbox = await world.networks.open(requestFor("web", { portBindings }));
      using _server = await serve(sandbox.netns ?? "", 80);
      using _other = await serve(sandbox.netns ?? "", 81);
      for (const transport of BOTH) {
        assert.ok(await ask(transport, "127.0.0.1", PORT));
        const outside = askFrom(machine.netns, transport, machine.hostAddress, PORT);
        if (publishThrough === "forward") assert.equal(await outside, machine.address);
        else await assert.rejects(outside, refused);
      }
      assert.ok(await askFrom(machine.netns, "tcp", machine.hostAddress, OTHER), "what the rules allow");
    }
  } finally {
    await applyRuleset(`delete table inet ${table}\n`);
  }
});

test("who sends datagrams all the time reaches the container that has the port now", { skip }, async () => {
  await using world = await makeWorld();
  using machine = await makeMachine("10.213.11");
  const talker = `
    const socket = require("node:dgram").createSocket("udp4");
    let last;
    socket.on("message", (message) => { if (String(message) !== last) console.log(last = String(message)); });
    socket.bind(0, () => setInterval(() => socket.send("x", ${PORT}, "${machine.hostAddress}"), 20));
    setTimeout(() => process.exit(), 20_000);`;
  const first = requestFor("first", { portBindings: publish(PORT) });
  const one = await world.networks.open(first);
  const [read, write] = pipe();
  const child = spawn({
    file: "nsenter",
    args: [`--net=${machine.netns}`, process.execPath, "-e", talker],
    stdio: ["null", write, 2],
  });
  closeSync(write);
  try {
    const said = (new Socket({ fd: read, readable: true, writable: false }) as AsyncIterable<Buffer>)[
      Symbol.asyncIterator
    ]();
    {
      using _server = await answerUdp(one, "first");
      assert.equal(String((await said.next()).value).trim(), "first");
    }
    await world.networks.close(first.containerId);
    await world.networks.open(requestFor("between"));
    const two = await world.networks.open(requestFor("second", { portBindings: publish(PORT) }));
    using _server = await answerUdp(two, "second");
    assert.equal(String((await said.next()).value).trim(), "second");
  } finally {
    killProcess(child.pid, 9);
  }
});

/** Answers every datagram at port 80 of the sandbox with the word. */
async function answerUdp(sandbox: Sandbox, word: string): Promise<Disposable> {
  const socket = createSocket("udp4");
  const fd = bindSocket({ netns: sandbox.netns, type: "datagram", address: Uint8Array.of(0, 0, 0, 0), port: 80 });
  socket.on("message", (_, from) => socket.send(word, from.port, from.address));
  await new Promise<void>((resolve) => socket.bind({ fd }, resolve));
  return { [Symbol.dispose]: () => void socket.close() };
}
