/** Containers that join and leave networks, running and stopped, as the docker CLI and gantry ask for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withEachCli } from "./lib/own-daemon.ts";

interface Endpoint {
  readonly IPAddress: string;
  readonly MacAddress: string;
  readonly Aliases: string[] | null;
  readonly DNSNames: string[] | null;
  readonly IPAMConfig: { IPv4Address?: string } | null;
  readonly GwPriority: number;
  readonly NetworkID: string;
  readonly EndpointID: string;
}

withEachCli((cli, daemon) => {
  const networksOf = async (container: string): Promise<Record<string, Endpoint>> =>
    JSON.parse(await cli.ok("inspect", "--format", "{{json .NetworkSettings.Networks}}", container));
  const sleeper = (container: string, ...flags: string[]) =>
    cli.ok("run", "-d", "--name", container, ...flags, "busybox", "sleep", "1000");
  const exec = (container: string, ...command: string[]) => cli.ok("exec", container, ...command);
  const refused = async (message: RegExp, ...args: string[]) => {
    const { code, err } = await cli.run(...args);
    assert.notEqual(code, 0);
    assert.match(err, message);
  };

  test("a running container joins a network with all it asks for, and leaves it", async () => {
    await cli.ok("network", "create", "--subnet", "10.219.1.0/24", "own");
    const id = await sleeper("main");
    await cli.ok("network", "connect", "--ip", "10.219.1.9", "--alias", "m1", "--alias", "m2", "own", "main");
    const { own, bridge } = await networksOf("main");
    assert.deepEqual(
      [own?.IPAddress, own?.Aliases, own?.IPAMConfig],
      ["10.219.1.9", ["m1", "m2"], { IPv4Address: "10.219.1.9" }],
    );
    assert.deepEqual(own?.DNSNames, ["main", "m1", "m2", id.slice(0, 12)]);
    assert.notEqual(bridge?.EndpointID, own?.EndpointID);
    assert.match(await exec("main", "ip", "-o", "addr", "show", "eth1"), /10\.219\.1\.9\/24/);
    assert.match(await exec("main", "cat", "/etc/hosts"), new RegExp(`\n10\\.219\\.1\\.9\\s+${id.slice(0, 12)}`));
    await refused(/already exists in network own/, "network", "connect", "own", "main");
    await exec("main", "sh", "-c", "echo 10.1.1.1 mine >> /etc/hosts");
    await cli.ok("network", "disconnect", "own", "main");
    assert.deepEqual(Object.keys(await networksOf("main")), ["bridge"]);
    const hosts = await exec("main", "cat", "/etc/hosts");
    assert.match(hosts, /10\.1\.1\.1 mine/);
    assert.doesNotMatch(hosts, /10\.219/);
    await refused(/is not connected to network own/, "network", "disconnect", "own", "main");
    await cli.ok("rm", "-f", "main");
    await cli.ok("network", "rm", "own");
  });

  test("a container that does not run joins and leaves with its next start", async () => {
    for (const network of ["left", "right"]) await cli.ok("network", "create", network);
    await cli.ok("network", "create", "--subnet", "10.219.2.0/24", "own");
    await cli.ok("create", "--name", "idle", "--network", "left", "busybox", "sleep", "1000");
    await cli.ok("network", "connect", "--ip", "10.219.2.7", "--alias", "i", "own", "idle");
    await cli.ok("network", "connect", "right", "idle");
    await refused(/no configured subnet contains/, "network", "connect", "--ip", "10.9.9.9", "own", "idle");
    await refused(/network nothing not found/, "network", "connect", "nothing", "idle");
    assert.deepEqual(Object.keys(await networksOf("idle")).sort(), ["left", "own", "right"]);
    await cli.ok("network", "disconnect", "left", "idle");
    await refused(/is not connected to/, "network", "disconnect", "left", "idle");
    await cli.ok("start", "idle");
    const running = await networksOf("idle");
    assert.deepEqual(Object.keys(running).sort(), ["own", "right"]);
    assert.equal(running.own?.IPAddress, "10.219.2.7");
    await cli.ok("network", "disconnect", "right", "idle");
    await cli.ok("network", "connect", "--alias", "later", "left", "idle");
    await cli.ok("restart", "-t", "0", "idle");
    const again = await networksOf("idle");
    assert.deepEqual(Object.keys(again).sort(), ["left", "own"]);
    assert.ok(again.left?.Aliases?.includes("later"));
    await daemon.kill();
    await daemon.start();
    assert.deepEqual(await networksOf("idle"), again);
    await cli.ok("stop", "-t", "0", "idle");
    assert.deepEqual(Object.keys(await networksOf("idle")).sort(), ["left", "own"]);
    await cli.ok("rm", "idle");
    for (const network of ["left", "right", "own"]) await cli.ok("network", "rm", network);
  });

  test("the gateway goes by priority, and a container takes its new name along", async () => {
    for (const network of ["a", "b"]) await cli.ok("network", "create", network);
    await sleeper("main", "--network", "a");
    const gateway = (network: string) =>
      cli.ok("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network);
    const route = () => exec("main", "ip", "route", "show", "default");
    await cli.ok("network", "connect", "b", "main");
    assert.match(await route(), new RegExp(`via ${await gateway("a")} `));
    await cli.ok("network", "disconnect", "b", "main");
    await cli.ok("network", "connect", "--gw-priority", "1", "b", "main");
    assert.match(await route(), new RegExp(`via ${await gateway("b")} `));
    assert.equal((await networksOf("main")).b?.GwPriority, 1);
    await cli.ok("rename", "main", "other");
    assert.equal((await networksOf("other")).b?.DNSNames?.[0], "other");
    await cli.ok("rm", "-f", "other");
    const two = ["--network", "name=a,alias=x", "--network", "name=b,gw-priority=3,mac-address=02:42:01:02:03:04"];
    await cli.ok("run", "-d", "--name", "main", ...two, "busybox", "sleep", "1000");
    assert.match(await route(), new RegExp(`via ${await gateway("b")} `));
    assert.equal((await networksOf("main")).b?.MacAddress, "02:42:01:02:03:04");
    await cli.ok("rm", "-f", "main");
    for (const network of ["a", "b"]) await cli.ok("network", "rm", network);
  });

  test("networks of the host's, of nobody and of another container are no company", async () => {
    await cli.ok("network", "create", "own");
    await sleeper("main");
    await sleeper("guest", "--network", "container:main");
    await sleeper("hosted", "--network", "host");
    await sleeper("alone", "--network", "none");
    await refused(/sharing network namespace/, "network", "connect", "own", "guest");
    await refused(/sharing network namespace/, "network", "connect", "own", "hosted");
    await refused(/private \(none\) mode/, "network", "connect", "own", "alone");
    await refused(/connected to host network/, "network", "connect", "host", "main");
    await refused(/user defined networks only/, "network", "connect", "--ip", "172.17.0.9", "bridge", "alone");
    await cli.ok("network", "disconnect", "none", "alone");
    await cli.ok("network", "connect", "own", "alone");
    assert.match(await exec("alone", "ip", "route", "show", "default"), /dev eth0/);
    await cli.ok("rm", "-f", "main", "guest", "hosted", "alone");
    await cli.ok("network", "rm", "own");
  });
});
