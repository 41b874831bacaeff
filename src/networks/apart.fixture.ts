/** Tests for a network namespace in which nothing is but what they make: see apart.test.ts. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { applyRuleset } from "../kernel/nftables.ts";
import { run } from "../kernel/spawn.ts";
import { inside, makeWorld, requestFor } from "./networks.fixture.ts";
import { ask, askFrom, makeMachine, serve } from "./traffic.fixture.ts";

const PORT = 8080;
const SPACE = `gantry-test-${process.pid}-`;
const FORWARD = "/proc/sys/net/ipv4/ip_forward";
const ping = (address: string) => ["busybox", "ping", "-c", "1", "-W", "1", address];

async function sh(script: string): Promise<string> {
  const { code, stdout, stderr } = await run("sh", ["-ec", script]);
  assert.equal(code, 0, `${script}: ${stderr}`);
  return stdout.toString();
}

before(async () => {
  assert.doesNotMatch(await sh("ip -o link"), / eth0[:@]/, "not on the machine's own network");
  await sh("ip link set lo up");
});

/** Two machines that see this host, and would see each other if it forwarded for them; links of a kind as if they were real. */
async function neighbours(): Promise<AsyncDisposable & { near: string; nearAddress: string; farAddress: string }> {
  const script = ["a", "b"].map(
    (name, index) => `
    ip netns add ${SPACE}${name}; ip link add gapv${name} type veth peer name uplink netns ${SPACE}${name}
    ip -n ${SPACE}${name} link set lo up; ip -n ${SPACE}${name} link set uplink up; ip link set gapv${name} up
    ip link add gapm${name} link gapv${name} type macvlan mode bridge; ip link set gapm${name} up
    ip addr add 10.99.${index}.1/24 dev gapm${name}
    ip -n ${SPACE}${name} addr add 10.99.${index}.2/24 dev uplink; ip -n ${SPACE}${name} route add default via 10.99.${index}.1`,
  );
  await sh(script.join("\n"));
  return {
    near: `/run/netns/${SPACE}a`,
    nearAddress: "10.99.0.2",
    farAddress: "10.99.1.2",
    async [Symbol.asyncDispose]() {
      await sh(`for n in a b; do ip link del gapv$n; ip netns del ${SPACE}$n; done`);
    },
  };
}

test("a host that did not forward becomes no router by it, now and after the next start", async () => {
  writeFileSync(FORWARD, "0");
  await using machines = await neighbours();
  const cross = async () => (await run("nsenter", [`--net=${machines.near}`, ...ping(machines.farAddress)])).code === 0;
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  assert.equal(readFileSync(FORWARD, "latin1").trim(), "1");
  assert.equal(await cross(), false);
  const sandbox = await world.networks.open(requestFor("one"));
  await inside(sandbox, ...ping(machines.farAddress));
  await sh("nft delete table inet gantry_forwarding");
  assert.equal(await cross(), true, "the guard is what kept them apart");
  await world.next();
  await world.networks.restore(new Set());
  assert.equal(await cross(), false);
  await sh("nft delete table inet gantry_forwarding");
});

test("a host that forwards goes on to forward", async () => {
  writeFileSync(FORWARD, "1");
  await using machines = await neighbours();
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  assert.equal((await run("nsenter", [`--net=${machines.near}`, ...ping(machines.farAddress)])).code, 0);
});

/** Ways in which hosts drop what is forwarded, and how they take it back. */
const DROPPERS = {
  "iptables-nft (ufw, Docker)": {
    begin: "iptables-nft -P FORWARD DROP; iptables-nft -A INPUT -i lo -j ACCEPT",
    reload: "iptables-nft -F FORWARD",
    stillReads: "iptables-nft -S FORWARD",
    end: "nft flush ruleset",
  },
  "iptables-legacy": {
    begin: "iptables-legacy -P FORWARD DROP",
    reload: "iptables-legacy -F FORWARD",
    stillReads: "iptables-legacy -S FORWARD",
    end: "iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F FORWARD",
  },
  "an nftables ruleset": {
    begin:
      "nft 'add table inet mine; add chain inet mine forwards { type filter hook forward priority 0; policy drop; }'",
    reload: "nft flush chain inet mine forwards",
    stillReads: "nft list chain inet mine forwards",
    end: "nft delete table inet mine",
  },
} as const;

for (const [name, { begin, reload, stillReads, end }] of Object.entries(DROPPERS))
  test(`beside ${name} that drops what is forwarded, containers reach out and are reached`, async (t) => {
    const started = await run("sh", ["-ec", begin]);
    if (started.code !== 0) return t.skip(`not on this machine: ${started.stderr}`);
    writeFileSync(FORWARD, "1");
    await using world = await makeWorld();
    using machine = await makeMachine("10.98.7");
    try {
      const request = requestFor("web", { portBindings: { "80/tcp": [{ HostPort: String(PORT) }] } });
      const web = await world.networks.open(request);
      using _server = await serve(web.netns ?? "", 80);
      const check = async () => {
        await inside(web, ...ping(machine.address));
        assert.equal(await askFrom(machine.netns, "tcp", machine.hostAddress, PORT), machine.address);
      };
      await check();
      await sh(reload);
      await eventually(check);
      const rules = await sh(stillReads);
      assert.equal(rules.match(/gantry:/g)?.length, 1, rules);
      await world.networks.close(request.containerId);
      await world.networks.dispose();
      assert.doesNotMatch(await sh(stillReads), /gantry/, "nothing is left with the others");
    } finally {
      await sh(end);
    }
  });

test("beside ufw containers reach out, and its rules hold for published ports when they are told to obey", async (t) => {
  if (!existsSync("/usr/sbin/ufw")) return t.skip("no ufw on this machine");
  const folder = mkdtempSync(join(tmpdir(), "gantry-ufw-"));
  const copies = ["ufw", "default"].map(
    (name) => `cp -a /etc/${name} ${folder}; mount --bind ${folder}/${name} /etc/${name}`,
  );
  await sh(`${copies.join("; ")}; ufw default deny incoming; ufw default deny routed; ufw --force enable`);
  try {
    writeFileSync(FORWARD, "1");
    using machine = await makeMachine("10.98.9");
    for (const publishThrough of ["forward", "input"] as const) {
      await using world = await makeWorld({ publishThrough });
      const portBindings = { "80/tcp": [{ HostPort: String(PORT) }] };
      const web = await world.networks.open(requestFor("web", { portBindings }));
      using _server = await serve(web.netns ?? "", 80);
      const call = () => askFrom(machine.netns, "tcp", machine.hostAddress, PORT);
      await inside(web, ...ping(machine.address));
      const { PassedBy } = world.networks.exposure();
      assert.deepEqual(
        PassedBy.toSorted(),
        publishThrough === "forward" ? ["ip filter INPUT", "ip6 filter INPUT"] : [],
      );
      if (publishThrough === "input") {
        await assert.rejects(call());
        await sh(`ufw allow ${PORT}/tcp`);
      }
      assert.ok(await call());
      await sh("ufw reload");
      await eventually(async () => void (await inside(web, ...ping(machine.address))));
      await eventually(async () => assert.ok(await call()));
    }
  } finally {
    await sh("ufw --force disable; umount /etc/ufw /etc/default; nft flush ruleset");
    rmSync(folder, { recursive: true, force: true });
  }
});

test("rules that someone flushed come back by themselves, while nobody asks for anything", async () => {
  writeFileSync(FORWARD, "1");
  await using world = await makeWorld();
  using machine = await makeMachine("10.98.8");
  const web = await world.networks.open(
    requestFor("web", { portBindings: { "80/tcp": [{ HostPort: String(PORT) }] } }),
  );
  using _server = await serve(web.netns ?? "", 80);
  assert.equal(await askFrom(machine.netns, "tcp", machine.hostAddress, PORT), machine.address);
  await sh("nft flush ruleset");
  await eventually(async () =>
    assert.equal(await askFrom(machine.netns, "tcp", machine.hostAddress, PORT), machine.address),
  );
  await inside(web, ...ping(machine.address));
  const { length } = world.logs.filter((line) => line.startsWith("warn the firewall table was changed"));
  assert.equal(length, 1);
});

test("without IPv6 on the host, IPv4 is all that is bound", async (t) => {
  const path = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
  if (!existsSync(path)) return t.skip("no IPv6 at all");
  writeFileSync(path, "1");
  try {
    await using world = await makeWorld();
    const web = await world.networks.open(
      requestFor("web", { portBindings: { "80/tcp": [{ HostPort: String(PORT) }] } }),
    );
    using _server = await serve(web.netns ?? "", 80);
    assert.deepEqual(web.ports["80/tcp"], [{ HostIp: "0.0.0.0", HostPort: String(PORT) }]);
    assert.ok(await ask("tcp", "127.0.0.1", PORT));
  } finally {
    writeFileSync(path, "0");
  }
});

test("a ruleset with a broken table of somebody else is left as it is", async () => {
  await applyRuleset("table ip odd {\n  chain loop {\n    jump other\n  }\n  chain other {\n    drop\n  }\n}\n");
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  assert.match(await sh("nft list table ip odd"), /jump other/);
  await sh("nft delete table ip odd");
});

async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return await check();
    } catch (error) {
      if (tries === 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
