import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { test } from "node:test";
import type { EndpointSettings } from "../../api/types/network.ts";
import { bindSocket } from "../../kernel/netns.ts";
import { inside, makeWorld, requestFor, skip, type World } from "../networks.fixture.ts";
import type { Sandbox, SandboxRequest } from "../networks.ts";
import { askIn, hex, nameServer, question, says } from "./dns.fixture.ts";
import { encodeName, RCODE, respond, TYPE, withId } from "./message.ts";

/** Addresses for name servers of the host's, which nobody else uses at port 53. */
const [UP, SECOND] = [`127.53.${process.pid % 250}.1`, `127.53.${process.pid % 250}.2`];

const onNetwork = (name: string, network: string, settings: EndpointSettings = {}) =>
  requestFor(name, { primary: network, endpoints: { [network]: settings } });
const netns = (sandbox: Sandbox) => sandbox.netns ?? assert.fail("no namespace");

async function openAll(world: World, requests: readonly SandboxRequest[]): Promise<Sandbox[]> {
  return Promise.all(requests.map((request) => world.networks.open(request)));
}

test("containers of a network find each other by name, alias, short id, host name and network", { skip }, async () => {
  await using world = await makeWorld({}, { hostServers: () => [] });
  for (const Name of ["Front", "back"]) await world.networks.create({ Name, Internal: true });
  const web = { ...onNetwork("web", "Front", { Aliases: ["www"] }), hostname: "Machine" };
  const [one, two, far] = await openAll(world, [web, onNetwork("other", "Front"), onNetwork("far", "back")]);
  assert.ok(one && two && far);
  assert.deepEqual([one.dns, (await world.networks.open(requestFor("plain"))).dns], [true, false]);
  const address = hex(one.endpoints.Front?.IPAddress);
  for (const name of ["web", "www", "WEB", web.containerId.slice(0, 12), "machine", "web.front", "www.Front"])
    for (const transport of ["udp", "tcp"] as const)
      assert.deepEqual((await askIn(netns(two), question(name), { transport })).data, [address], name);
  assert.deepEqual((await askIn(netns(one), question("web"))).data, [address], "its own name");
  for (const type of [TYPE.aaaa, 15, 16]) {
    const { code, data } = await askIn(netns(two), question("web", { type }));
    assert.deepEqual([code, data], [RCODE.ok, []], "known, and nothing of that kind");
  }
  const reverse = `${(one.endpoints.Front?.IPAddress ?? "").split(".").reverse().join(".")}.in-addr.arpa`;
  assert.deepEqual((await askIn(netns(two), question(reverse, { type: TYPE.ptr }))).data, [
    encodeName("web.Front")?.toString("hex"),
  ]);
  for (const name of ["far", "web.back", "nobody", "w\\eb"])
    assert.equal((await askIn(netns(two), question(name))).code, RCODE.serverFailure, name);
  assert.equal((await askIn(netns(far), question("web"))).code, RCODE.serverFailure);
});

test("one name of several containers has all their addresses, each of them first as often", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "app", EnableIPv6: true });
  const names = ["one", "two", "three"];
  const sandboxes = await openAll(
    world,
    names.map((name) => onNetwork(name, "app", { Aliases: ["web"] })),
  );
  const client = await world.networks.open(onNetwork("client", "app"));
  const addresses = sandboxes.map(({ endpoints }) => hex(endpoints.app?.IPAddress)).sort();
  const firsts = new Map<string, number>();
  for (let round = 0; round < 90; round++) {
    const { data } = await askIn(netns(client), question("web"));
    assert.deepEqual([...data].sort(), addresses);
    firsts.set(data[0] ?? "", (firsts.get(data[0] ?? "") ?? 0) + 1);
  }
  assert.equal(firsts.size, 3);
  assert.ok(Math.min(...firsts.values()) > 10, `${[...firsts.values()]}`);
  const six = await askIn(netns(client), question("web", { type: TYPE.aaaa }));
  assert.deepEqual(
    [...six.data].sort(),
    sandboxes.map(({ endpoints }) => hex(endpoints.app?.GlobalIPv6Address)).sort(),
  );
});

test("names follow those who come, go and are renamed", { skip }, async () => {
  await using world = await makeWorld({}, { hostServers: () => [UP] });
  using _up = await nameServer(UP, ({ query }) => respond(query, RCODE.nameError, [], { udp: true }));
  await world.networks.create({ Name: "app" });
  const client = await world.networks.open(onNetwork("client", "app"));
  const request = { ...requestFor("late"), hostname: "host" };
  const late = await world.networks.open(request);
  const ask = async (sandbox: Sandbox, name: string) => (await askIn(netns(sandbox), question(name))).data;
  assert.deepEqual(await ask(client, "late"), []);
  await world.networks.connect("app", request.containerId, { Aliases: ["l"], Links: ["client:friend"] });
  const address = hex(world.networks.sandbox(request.containerId)?.endpoints.app?.IPAddress);
  assert.deepEqual(await ask(client, "late"), [address]);
  assert.deepEqual(
    await ask(late, "client"),
    [hex(client.endpoints.app?.IPAddress)],
    "it has a name server itself now",
  );
  assert.deepEqual(await ask(late, "friend"), [hex(client.endpoints.app?.IPAddress)], "its own name for a link");
  assert.deepEqual(await ask(client, "friend"), []);
  await world.networks.rename(request.containerId, "early");
  assert.deepEqual([await ask(client, "late"), await ask(client, "early")], [[], [address]]);
  await world.networks.disconnect("app", request.containerId, false);
  assert.deepEqual([await ask(client, "early"), await ask(client, "l")], [[], []]);
  await world.networks.close(request.containerId);
});

test("other names are asked of the host's servers, and kept as long as they live", { skip }, async () => {
  await using world = await makeWorld({}, { hostServers: () => [UP, SECOND] });
  await world.networks.create({ Name: "app" });
  const client = await world.networks.open(onNetwork("client", "app"));
  const ask = (name: string, how: Parameters<typeof question>[1] = {}) => askIn(netns(client), question(name, how));
  using up = await nameServer(UP, ({ query }) => {
    if (query.name === "refused.test") return respond(query, RCODE.serverFailure, [], { udp: true });
    if (query.name === "silent.test") return undefined;
    if (query.name === "no.test") return respond(query, RCODE.nameError, [], { udp: true });
    // Answers to other questions, before the right one.
    return [
      withId(says(query, ["6.6.6.6"]), query.id ^ 1),
      says({ ...query, packet: question("other.test") }, ["6.6.6.6"]),
      says(query, ["10.7.7.7"]),
    ];
  });
  using second = await nameServer(SECOND, ({ query }) => says(query, ["10.8.8.8"]));
  assert.deepEqual((await ask("Example.test", { id: 99 })).data, [hex("10.7.7.7")]);
  const again = await ask("eXample.test", { id: 100 });
  assert.deepEqual([again.data, again.packet.readUInt16BE(0)], [[hex("10.7.7.7")], 100]);
  assert.match(again.packet.toString("latin1"), /eXample/, "spelled as it was asked");
  assert.equal(up.asked.length, 1, "asked once");
  assert.ok((again.ttl ?? 99) <= 60);
  await Promise.all(Array.from({ length: 20 }, (_, id) => ask("burst.test", { id })));
  assert.equal(up.asked.filter(({ query }) => query.name === "burst.test").length, 1, "one question for all");
  assert.deepEqual((await ask("refused.test")).data, [hex("10.8.8.8")], "the second server's answer");
  assert.equal((await ask("no.test")).code, RCODE.nameError);
  assert.equal(second.asked.length, 1);
  assert.deepEqual((await ask("silent.test")).data, [hex("10.8.8.8")]);
  assert.deepEqual((await ask("after.test")).data, [hex("10.8.8.8")], "who was silent is asked last");
});

function record(address: string) {
  return { type: TYPE.a, ttl: 60, data: Buffer.from(hex(address), "hex") };
}

test("an answer that is cut off by UDP is had whole by TCP", { skip }, async () => {
  await using world = await makeWorld({}, { hostServers: () => [UP] });
  await world.networks.create({ Name: "app" });
  const client = await world.networks.open(onNetwork("client", "app"));
  const many = Array.from({ length: 200 }, (_, index) => `10.1.${index}.1`);
  using up = await nameServer(UP, ({ query, transport }) =>
    transport === "udp" ? respond(query, 0, many.map(record), { udp: true }) : says(query, many),
  );
  const short = await askIn(netns(client), question("long.test"));
  assert.ok(short.truncated && short.data.length < 40);
  assert.equal((await askIn(netns(client), question("long.test"), { transport: "tcp" })).data.length, 200);
  const { truncated, packet } = await askIn(netns(client), question("long.test", { edns: 4096 }));
  assert.ok(!truncated && packet.length > 3000);
  assert.deepEqual(
    up.asked.map(({ transport }) => transport),
    ["udp", "udp", "tcp", "udp"],
  );
});

test("records that containers have not are asked of others, and an address of nobody's here too", {
  skip,
}, async () => {
  await using world = await makeWorld({}, { hostServers: () => [UP] });
  await world.networks.create({ Name: "app", EnableIPv6: true });
  const client = await world.networks.open(onNetwork("client", "app"));
  const ask = (name: string, type: number) => askIn(netns(client), question(name, { type }));
  const SRV = 33;
  const data = Buffer.from("000a00051f9003776562047465737400", "hex");
  using up = await nameServer(UP, ({ query }) =>
    respond(query, 0, [{ type: query.type, ttl: 9, data }], { udp: true }),
  );
  assert.deepEqual((await ask("_http._tcp.web.test", SRV)).data, [data.toString("hex")]);
  assert.deepEqual((await ask("9.9.9.10.in-addr.arpa", TYPE.ptr)).data, [data.toString("hex")]);
  const { code, data: none } = await ask("client", SRV);
  assert.deepEqual([code, none], [RCODE.ok, []], "a container's name has none, which nobody else is asked");
  const six = hex(client.endpoints.app?.GlobalIPv6Address);
  const reverse = `${[...six].reverse().join(".")}.ip6.arpa`;
  assert.deepEqual((await ask(reverse, TYPE.ptr)).data, [encodeName("client.app")?.toString("hex")]);
  assert.equal(up.asked.length, 2);
});

test("while nobody answers elsewhere containers are found at once, and the asker is told in the end", {
  skip,
}, async () => {
  await using world = await makeWorld({}, { hostServers: () => [UP] });
  await world.networks.create({ Name: "app" });
  const client = await world.networks.open(onNetwork("client", "app"));
  const ask = (name: string, transport: "udp" | "tcp" = "udp") => askIn(netns(client), question(name), { transport });
  assert.equal((await ask("refused.test")).code, RCODE.serverFailure, "nobody is at the port");
  assert.equal((await ask("refused.test", "tcp")).code, RCODE.serverFailure);
  using up = await nameServer(UP, () => undefined);
  const silent = ask("silent.test").then(
    () => "answered",
    () => "silent",
  );
  while (up.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual((await ask("client")).data, [hex(client.endpoints.app?.IPAddress)]);
  assert.equal(await Promise.race([silent, "pending"]), "pending");
  assert.equal(await silent, "silent", "longer than two seconds");
  while (up.asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
});

test("servers that the user names are asked from inside the container's network", { skip }, async () => {
  await using world = await makeWorld({}, { hostServers: () => [] });
  await world.networks.create({ Name: "app" });
  const server = await world.networks.open(onNetwork("server", "app"));
  const address = server.endpoints.app?.IPAddress ?? "";
  using double = await nameServer(address, ({ query }) => says(query, ["10.7.7.7"]), netns(server));
  const client = await world.networks.open({ ...onNetwork("client", "app"), dns: [address], dnsOptions: ["ndots:2"] });
  for (const transport of ["udp", "tcp"] as const)
    assert.deepEqual((await askIn(netns(client), question("example.test"), { transport })).data, [hex("10.7.7.7")]);
  assert.deepEqual(new Set(double.asked.map(({ from }) => from)), new Set([client.endpoints.app?.IPAddress]));
  assert.equal((await askIn(netns(client), question("single"))).code, RCODE.nameError, "left to the search domains");
  assert.ok(!double.asked.some(({ query }) => query.name === "single"));
});

test("a container may have port 53 for itself", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "app" });
  const client = await world.networks.open(onNetwork("client", "app"));
  const address = Uint8Array.of(0, 0, 0, 0);
  for (const type of ["datagram", "stream"] as const)
    closeSync(bindSocket({ netns: netns(client), type, address, port: 53 }));
  using double = await nameServer("127.0.0.1", ({ query }) => says(query, ["10.7.7.7"]), netns(client));
  assert.deepEqual((await askIn(netns(client), question("client"))).data, [hex(client.endpoints.app?.IPAddress)]);
  assert.deepEqual((await askIn(netns(client), question("client"), { address: "127.0.0.1" })).data, [hex("10.7.7.7")]);
  assert.equal(double.asked.length, 1);
});

test("names are there again after the engine's next start; meanwhile nothing is answered that would end the asker's patience", {
  skip,
}, async () => {
  await using world = await makeWorld();
  await world.networks.create({ Name: "app" });
  const requests = [onNetwork("one", "app"), onNetwork("two", "app")];
  const [one, two] = await openAll(world, requests);
  assert.ok(one && two);
  const ask = () => askIn(netns(two), question("one"));
  const alive = new Set(requests.map(({ containerId }) => containerId));
  const taken = () =>
    world.store.get<{ dns_port: number }>(
      "SELECT dns_port FROM sandboxes WHERE container_id = ?",
      requests[1]?.containerId ?? "",
    )?.dns_port ?? 0;
  const before = taken();
  await world.networks.dispose();
  await assert.rejects(ask(), { message: "no answer" });
  await world.next();
  await world.networks.restore(alive);
  assert.deepEqual((await ask()).data, [hex(one.endpoints.app?.IPAddress)]);
  assert.equal(taken(), before);
  await world.networks.dispose();
  // Someone in the container has the port now.
  const fd = bindSocket({ netns: netns(two), type: "datagram", address: Uint8Array.of(0, 0, 0, 0), port: before });
  await world.next();
  await world.networks.restore(alive);
  for (const transport of ["udp", "tcp"] as const)
    assert.deepEqual((await askIn(netns(two), question("one"), { transport })).data, [
      hex(one.endpoints.app?.IPAddress),
    ]);
  assert.notEqual(taken(), before);
  closeSync(fd);
});

test("hostile packets and idle connections keep nobody else from an answer", { skip }, async () => {
  await using world = await makeWorld({}, { hostServers: () => [] });
  await world.networks.create({ Name: "app" });
  const [victim, attacker] = await openAll(world, [onNetwork("victim", "app"), onNetwork("attacker", "app")]);
  assert.ok(victim && attacker);
  const script = `
    const [dgram, net] = [require("node:dgram"), require("node:net")];
    const socket = dgram.createSocket("udp4");
    const junk = () => require("node:crypto").randomBytes(Math.floor(Math.random() * 700) + 1);
    let left = 20000;
    const send = () => { for (let i = 0; i < 50; i++) socket.send(junk(), 53, "127.0.0.11", () => {}); if ((left -= 50) > 0) setImmediate(send); else done(); };
    const idle = Array.from({ length: 80 }, () => net.connect(53, "127.0.0.11").on("error", () => {}).on("connect", function () { this.write(Buffer.of(0xff)); }));
    const torrent = net.connect(53, "127.0.0.11").on("error", () => {}).on("connect", function () { for (let i = 0; i < 200; i++) this.write(junk()); });
    const done = () => { console.log("done"); process.exit(); };
    send();`;
  const flood = inside(attacker, process.execPath, "-e", script);
  const address = [hex(victim.endpoints.app?.IPAddress)];
  for (let round = 0; round < 20; round++) {
    assert.deepEqual((await askIn(netns(victim), question("victim"))).data, address);
    assert.deepEqual((await askIn(netns(victim), question("victim"), { transport: "tcp" })).data, address);
  }
  assert.equal(await flood, "done");
  assert.deepEqual((await askIn(netns(attacker), question("victim"))).data, address);
  assert.deepEqual(
    world.logs.filter((line) => /^(warn|error)/.test(line)),
    [],
  );
});
