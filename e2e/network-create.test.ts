/** Networks made, shown, listed, pruned and refused, as the docker CLI and gantry ask for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Network } from "../src/api/types/network.ts";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli) => {
  const inspect = async (network: string): Promise<Network> =>
    JSON.parse(await cli.ok("network", "inspect", "--format", "{{json .}}", network));
  const names = async (...flags: string[]) =>
    (await cli.ok("network", "ls", "--format", "{{.Name}}", ...flags)).split("\n").filter(Boolean).sort();
  const refused = async (message: RegExp, ...args: string[]) => {
    const { code, err } = await cli.run(...args);
    assert.notEqual(code, 0, args.join(" "));
    assert.match(err, message);
  };

  test("a network is what was asked for, in every point", async () => {
    const words = (text: string) => text.split(" ");
    await cli.ok(
      ...words("network create --driver bridge --attachable --internal --ipv6 --label a=1 --label b"),
      ...words("--subnet 10.218.0.0/24 --ip-range 10.218.0.128/25 --gateway 10.218.0.254"),
      ...words("--aux-address router=10.218.0.200 --subnet fd00:10:218::/64 --gateway fd00:10:218::9"),
      ...words("--opt com.docker.network.bridge.enable_icc=false --opt com.docker.network.driver.mtu=1400 full"),
    );
    const full = await inspect("full");
    assert.deepEqual(
      [full.Driver, full.Scope, full.Internal, full.Attachable, full.EnableIPv4, full.EnableIPv6, full.Ingress],
      ["bridge", "local", true, true, true, true, false],
    );
    assert.deepEqual(full.Labels, { a: "1", b: "" });
    // The docker CLI sends several subnets in any order.
    const subnets = full.IPAM.Config?.toSorted((a, b) => ((a.Subnet ?? "") < (b.Subnet ?? "") ? -1 : 1));
    assert.deepEqual(subnets, [
      {
        Subnet: "10.218.0.0/24",
        IPRange: "10.218.0.128/25",
        Gateway: "10.218.0.254",
        AuxiliaryAddresses: { router: "10.218.0.200" },
      },
      { Subnet: "fd00:10:218::/64", Gateway: "fd00:10:218::9" },
    ]);
    const link = ["run", "--rm", "--network", "full", "busybox", "ip", "addr", "show", "eth0"];
    const shown = await cli.ok(...link);
    assert.match(shown, /mtu 1400/);
    assert.match(shown, /inet 10\.218\.0\.128\/24/);
    assert.match(shown, /inet6 fd00:10:218::/);
    await refused(/Pool overlaps with other one/, "network", "create", "--subnet", "10.218.0.0/16", "again");
    const own = ["--opt", "com.docker.network.bridge.name=gyown0"];
    await cli.ok("network", "create", ...own, "named");
    await refused(/networks have same bridge name/, "network", "create", ...own, "again");
    await cli.ok("network", "rm", "named");
    await refused(/network with name full already exists/, "network", "create", "full");
    await cli.ok("network", "rm", "full");
  });

  test("networks are listed by filters, and pruned by label", async () => {
    await cli.ok("network", "create", "--label", "team=blue", "blue");
    await cli.ok("network", "create", "--label", "team=red", "red");
    const id = await cli.ok("run", "-d", "--network", "red", "--name", "user", "busybox", "sleep", "1000");
    assert.deepEqual(await names(), ["blue", "bridge", "host", "none", "red"]);
    assert.deepEqual(await names("--filter", "type=builtin"), ["bridge", "host", "none"]);
    assert.deepEqual(await names("--filter", "label=team=blue"), ["blue"]);
    assert.deepEqual(await names("--filter", "driver=bridge", "--filter", "type=custom"), ["blue", "red"]);
    assert.deepEqual(await names("--filter", "dangling=true"), ["blue"]);
    assert.deepEqual(await names("--filter", "name=re", "--filter", "scope=local"), ["red"]);
    await refused(/has active endpoints \(name:"user" id:"[0-9a-f]{12}"\)/, "network", "rm", "red");
    await cli.ok("network", "prune", "-f", "--filter", "label!=team=blue");
    assert.deepEqual(await names("--filter", "type=custom"), ["blue", "red"]);
    assert.match(await cli.ok("network", "prune", "-f"), /^Deleted Networks:\nblue/);
    await cli.ok("rm", "-f", id);
    await cli.ok("network", "prune", "-f");
    assert.deepEqual(await names("--filter", "type=custom"), []);
  });

  test("a network may take its configuration from one that does nothing else", async () => {
    const template = ["--config-only", "--subnet", "10.217.0.0/24", "--label", "from=template", "--opt"];
    await cli.ok("network", "create", ...template, "com.docker.network.driver.mtu=1300", "template");
    const shown = await inspect("template");
    assert.deepEqual([shown.ConfigOnly, shown.Driver, shown.ConfigFrom], [true, "null", { Network: "" }]);
    await refused(/is a configuration-only network/, "run", "--rm", "--network", "template", "busybox", "true");
    await cli.ok("network", "create", "--config-from", "template", "--label", "own=1", "real");
    const real = await inspect("real");
    assert.deepEqual([real.ConfigOnly, real.ConfigFrom], [false, { Network: "template" }]);
    assert.deepEqual(real.Labels, { from: "template", own: "1" });
    const config = { Subnet: "10.217.0.0/24", Gateway: "10.217.0.1" };
    assert.deepEqual(real.IPAM.Config, [config]);
    const run = ["run", "--rm", "--network", "real", "busybox", "ip", "addr", "show", "eth0"];
    assert.match(await cli.ok(...run), /mtu 1300[\s\S]*10\.217\.0\.2\/24/);
    const own = ["network", "create", "--config-from", "template", "--subnet", "10.216.0.0/24", "bad"];
    await refused(/user specified configurations are not supported/, ...own);
    await refused(/configuration network "real" does not exist/, "network", "create", "--config-from", "real", "bad");
    await refused(/configuration network "template" is in use/, "network", "rm", "template");
    await cli.ok("network", "prune", "-f");
    assert.deepEqual(await names("--filter", "type=custom"), ["template"]);
    await cli.ok("network", "rm", "template");
  });

  test("what a swarm, a plug-in or another kernel would do is refused by its name", async () => {
    const create = (...flags: string[]) => ["network", "create", ...flags, "bad"];
    await refused(/not a swarm manager/, ...create("--scope", "swarm"));
    await refused(/not a swarm manager/, ...create("--ingress"));
    await refused(/not a swarm manager/, ...create("-d", "overlay"));
    await refused(/could not find plugin nobody in v1 plugin registry/, ...create("-d", "nobody"));
    await refused(/only one instance of "host" network is allowed/, ...create("-d", "host"));
    await refused(/invalid subnet 10\.0\.0\.0\/99/, ...create("--subnet", "10.0.0.0/99"));
    await refused(/pre-defined network and cannot be removed/, "network", "rm", "bridge");
    assert.deepEqual(await names("--filter", "type=custom"), []);
  });
});
