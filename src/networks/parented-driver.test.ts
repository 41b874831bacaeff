import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkCreateRequest } from "../api/types/network.ts";
import { run } from "../kernel/spawn.ts";
import { askIn, hex, question } from "./dns/dns.fixture.ts";
import { inside, kernelOf, makeWorld, requestFor, skip } from "./networks.fixture.ts";
import { askFrom, makeMachine, serve } from "./traffic.fixture.ts";

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
