import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkCreateRequest } from "../api/types/network.ts";
import { run } from "../kernel/spawn.ts";
import { askIn, hex, question } from "./dns/dns.fixture.ts";
import { inside, kernelOf, makeWorld, requestFor, skip, type World } from "./networks.fixture.ts";
import { askFrom, type Machine, makeMachine, serve } from "./traffic.fixture.ts";

const ping = (address: string | undefined) => ["busybox", "ping", "-c", "1", "-W", "2", address ?? ""];

function request(Name: string, subnet: string, Options: Record<string, string>): NetworkCreateRequest {
  const IPAM = { Config: [{ Subnet: `${subnet}.0/24`, IPRange: `${subnet}.128/25`, Gateway: `${subnet}.2` }] };
  return { Name, Driver: "macvlan", IPAM, Options };
}

/** Whether this kernel makes links of a kind. */
async function has(kind: string): Promise<boolean> {
  const script = `ip link add b0 type bridge && ip link add link b0 name x0 type ${kind}`;
  return (await run("unshare", ["--net", "--", "sh", "-ec", script])).code === 0;
}

test("containers of a macvlan network are machines of the link's own network", { skip }, async (t) => {
  if (!(await has("macvlan"))) return t.skip("this kernel has no macvlan");
  await using world = await makeWorld();
  using machine = await makeMachine("10.213.30");
  const link = "gm10-213-30";
  await world.networks.create(request("lan", "10.213.30", { parent: link }));
  const open = (name: string) =>
    world.networks.open(
      requestFor(name, { primary: "lan", endpoints: { lan: { Aliases: ["l"] } }, portBindings: { "80/tcp": [{}] } }),
    );
  const [one, two] = [await open("one"), await open("two")];
  assert.equal(one.endpoints.lan?.IPAddress, "10.213.30.128");
  assert.deepEqual([one.endpoints.lan?.Gateway, one.ports], [machine.address, {}]);
  using _server = await serve(one.netns ?? "", 80);
  assert.equal(await askFrom(machine.netns, "tcp", "10.213.30.128", 80), machine.address, "no port needs publishing");
  await inside(one, ...ping(machine.address));
  await inside(one, ...ping(two.endpoints.lan?.IPAddress));
  assert.match(await inside(one, "ip", "-d", "link", "show", "eth0"), /macvlan mode bridge[\s\S]*/);
  assert.match(
    await inside(one, "ip", "-o", "link", "show", "eth0"),
    new RegExp(one.endpoints.lan?.MacAddress ?? "none"),
  );
  assert.deepEqual((await askIn(one.netns ?? "", question("two"))).data, [hex(two.endpoints.lan?.IPAddress)]);
  assert.deepEqual(
    world.networks
      .exposure()
      .Ports.filter(({ From, Port }) => From === "link" && Port === "80/tcp")
      .map(({ At, Where }) => [At, ...Where]),
    [["10.213.30.128:80", link]],
  );
  await assert.rejects(
    world.networks.create({ ...request("other", "10.213.31", { parent: link, macvlan_mode: "passthru" }) }),
    {
      kind: "forbidden",
      message: `network lan is already using parent interface ${link}`,
    },
  );
  const bridged = requestFor("bridged");
  const third = await world.networks.open(bridged);
  await world.networks.connect("lan", bridged.containerId, {});
  await inside(third, ...ping(machine.address));
  await world.networks.disconnect("lan", bridged.containerId, false);
  assert.doesNotMatch(await inside(third, "ip", "-o", "link"), /eth1/);
  for (const { ContainerID } of Object.entries(world.networks.inspect("lan").Containers).map(([ContainerID]) => ({
    ContainerID,
  })))
    await world.networks.close(ContainerID);
  await world.networks.remove("lan");
  assert.equal((await run("ip", ["link", "show", link])).code, 0, "the link is the host's own");
});

test("a macvlan network without a link of the host's leads nowhere but to its own containers", { skip }, async (t) => {
  if (!(await has("macvlan"))) return t.skip("this kernel has no macvlan");
  await using world = await makeWorld();
  const { Id } = await world.networks.create({ Name: "cell", Driver: "macvlan", Internal: true });
  const [one, two] = [requestFor("one", { primary: "cell" }), requestFor("two", { primary: "cell" })];
  const first = await world.networks.open(one);
  const second = await world.networks.open(two);
  await inside(first, ...ping(second.endpoints.cell?.IPAddress));
  assert.equal(await inside(first, "ip", "route", "show", "default"), "");
  await world.next();
  await world.networks.restore(new Set([one.containerId, two.containerId]));
  await inside(first, ...ping(second.endpoints.cell?.IPAddress));
  for (const { containerId } of [one, two]) await world.networks.close(containerId);
  await world.networks.remove("cell");
  assert.ok(!(await kernelOf(world)).links.includes(`dm-${Id.slice(0, 12)}`));
});

const [HOST6, MACHINE6] = ["fd00:10:213:33::1", "fd00:10:213:33::2"];
const LINK = "gm10-213-33";

/** The machine behind LINK, which also knows IPv6 and the ways to routed containers. */
async function makeDualMachine(): Promise<Machine> {
  const machine = await makeMachine("10.213.33");
  const script = [
    `ip -6 address add ${MACHINE6}/64 dev eth0 nodad`,
    "ip route add 10.213.35.0/24 via 10.213.33.1",
    `ip -6 route add fd00:10:213:35::/64 via ${HOST6}`,
  ];
  await succeed("ip", "-6", "address", "add", `${HOST6}/64`, "dev", LINK, "nodad");
  await succeed("nsenter", `--net=${machine.netns}`, "sh", "-ec", script.join(" && "));
  return machine;
}

async function succeed(file: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await run(file, args);
  assert.equal(code, 0, stderr.toString());
}

/** On the machine's own network, or on one that is routed to over the link. */
function ipvlan(part: "33" | "35", Options: Record<string, string>): NetworkCreateRequest {
  const Config =
    part === "33"
      ? [
          { Subnet: "10.213.33.0/24", Gateway: "10.213.33.2" },
          { Subnet: "fd00:10:213:33::/64", Gateway: MACHINE6 },
        ]
      : [{ Subnet: "10.213.35.0/24" }, { Subnet: "fd00:10:213:35::/64" }];
  return { Name: "lan", Driver: "ipvlan", EnableIPv6: true, IPAM: { Config }, Options: { parent: LINK, ...Options } };
}

test("containers of ipvlan networks are on the link's network, or routed to over it", { skip }, async (t) => {
  if (!(await has("ipvlan"))) return t.skip("this kernel has no ipvlan");
  await using world = await makeWorld();
  using machine = await makeDualMachine();
  for (const [mode, part] of [
    ["l2", "33"],
    ["l3", "35"],
    ["l3s", "35"],
  ] as const)
    await t.test(mode, async () => {
      await world.networks.create(ipvlan(part, { ipvlan_mode: mode }));
      const fixed = { IPv4Address: `10.213.${part}.77`, IPv6Address: `fd00:10:213:${part}::77` };
      const request = requestFor("one", { primary: "lan", endpoints: { lan: { IPAMConfig: fixed } } });
      const one = await world.networks.open(request);
      const two = await world.networks.open(requestFor("two", { primary: "lan" }));
      const { IPAddress, GlobalIPv6Address, Gateway, IPv6Gateway } = one.endpoints.lan ?? {};
      assert.deepEqual([IPAddress, GlobalIPv6Address], Object.values(fixed));
      if (mode === "l2") assert.deepEqual([Gateway, IPv6Gateway], [machine.address, MACHINE6]);
      else assert.match(await inside(one, "ip", "route", "show", "default"), /^default dev eth0/);
      assert.match(await inside(one, "ip", "-d", "link", "show", "eth0"), new RegExp(`ipvlan\\s+mode ${mode} bridge`));
      assert.deepEqual((await askIn(one.netns ?? "", question("two"))).data, [hex(two.endpoints.lan?.IPAddress)]);
      for (const address of Object.values(fixed)) {
        await inside(two, ...ping(address));
        await succeed("nsenter", `--net=${machine.netns}`, ...ping(address));
      }
      for (const address of [machine.address, MACHINE6]) await inside(two, ...ping(address));
      const other = { ...ipvlan("35", { ipvlan_mode: mode === "l3" ? "l2" : "l3" }), Name: "other" };
      await assert.rejects(world.networks.create(other), {
        kind: "forbidden",
        message: `network lan is already using parent interface ${LINK}`,
      });
      await empty(world, "lan");
      const left = (await run("ip", ["-d", "link", "show"])).stdout.toString();
      assert.doesNotMatch(left, /ipvlan/);
      assert.match(left, new RegExp(`${LINK}@`), "the link is the host's own");
    });
  await t.test("private: what is outside, and not each other", async () => {
    await world.networks.create(ipvlan("33", { ipvlan_flag: "private" }));
    const one = await world.networks.open(requestFor("one", { primary: "lan" }));
    const two = await world.networks.open(requestFor("two", { primary: "lan" }));
    await inside(one, ...ping(machine.address));
    await assert.rejects(inside(one, ...ping(two.endpoints.lan?.IPAddress)));
    await empty(world, "lan");
  });
  for (const Driver of ["macvlan", "ipvlan"])
    await t.test(`${Driver} on a VLAN, which is made for it and goes with it`, async (sub) => {
      if (!(await has("vlan id 5"))) return sub.skip("this kernel has no VLANs");
      const there = `ip link add link eth0 name v type vlan id 50 && ip address add 10.213.36.2/24 dev v && ip link set v up`;
      await succeed("nsenter", `--net=${machine.netns}`, "sh", "-ec", there);
      const IPAM = { Config: [{ Subnet: "10.213.36.0/24", Gateway: "10.213.36.2" }] };
      await world.networks.create({ Name: "vlan", Driver, IPAM, Options: { parent: `${LINK}.50` } });
      await inside(await world.networks.open(requestFor("one", { primary: "vlan" })), ...ping("10.213.36.2"));
      await empty(world, "vlan");
      assert.notEqual((await run("ip", ["link", "show", `${LINK}.50`])).code, 0);
      await succeed("nsenter", `--net=${machine.netns}`, "ip", "link", "delete", "v");
    });
  for (const ipvlan_mode of ["l2", "l3", "l3s"])
    await t.test(`without a link, to its own containers alone: ${ipvlan_mode}`, async () => {
      const request = { Name: "cell", Driver: "ipvlan", Internal: true, Options: { ipvlan_mode } };
      const { Id } = await world.networks.create(request);
      const one = await world.networks.open(requestFor("one", { primary: "cell" }));
      const two = await world.networks.open(requestFor("two", { primary: "cell" }));
      await inside(one, ...ping(two.endpoints.cell?.IPAddress));
      assert.equal(await inside(one, "ip", "route", "show", "default"), "");
      await world.next();
      await world.networks.restore(new Set(Object.keys(world.networks.inspect("cell").Containers)));
      await inside(one, ...ping(two.endpoints.cell?.IPAddress));
      await empty(world, "cell");
      assert.ok(!(await kernelOf(world)).links.includes(`dm-${Id.slice(0, 12)}`));
    });
});

async function empty(world: World, network: string): Promise<void> {
  for (const id of Object.keys(world.networks.inspect(network).Containers)) await world.networks.close(id);
  await world.networks.remove(network);
}

test("what the kernel, the host or the option does not have is refused by its name", { skip }, async () => {
  await using world = await makeWorld();
  const create = (Driver: string, Options: Record<string, string>) =>
    world.networks.create({ Name: "x", Driver, Options });
  await assert.rejects(create("macvlan", { macvlan_mode: "sideways" }), {
    kind: "invalid",
    message: /mode 'sideways' is not valid/,
  });
  await assert.rejects(create("macvlan", { parent: "lo" }), { kind: "invalid", message: /loopback/ });
  await assert.rejects(create("macvlan", { parent: "gynone" }), {
    kind: "invalid",
    message: /was not found on the host: gynone/,
  });
  await assert.rejects(create("ipvlan", { ipvlan_mode: "l4" }), { kind: "invalid" });
  if (!(await has("vlan id 5")))
    await assert.rejects(create("macvlan", { parent: "lo.5" }), { kind: "unavailable", message: /no vlan links/ });
  if (!(await has("ipvlan")))
    await assert.rejects(create("ipvlan", {}), {
      kind: "unavailable",
      message: "the kernel of this machine has no ipvlan links",
    });
  assert.deepEqual(world.networks.list().length, 3);
  assert.ok(!(await kernelOf(world)).links.some((name) => name.startsWith("dm-")));
});
