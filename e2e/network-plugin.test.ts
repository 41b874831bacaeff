/** The example network driver, as it stands, with both CLIs: networks, addresses, traffic, restarts of either side. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";

for (const name of ["docker", "gantry"] satisfies CliName[]) describe(name, { skip: missing(name) }, () => suite(name));

function suite(name: CliName): void {
  const driver = `gantrytest${process.pid}${name}`;
  const socket = `/run/docker/plugins/${driver}.sock`;
  let daemon: TestDaemon;
  let cli: Cli;
  let plugin: ChildProcess | undefined;

  const startPlugin = async () => {
    const file = join(import.meta.dirname, "..", "examples", "network-driver", "driver.ts");
    plugin = spawn(process.execPath, [file, socket, join(daemon.folder, "state.json")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((resolve) => plugin?.stdout?.once("data", resolve));
  };
  const stopPlugin = async () => {
    const ended = new Promise((resolve) => plugin?.once("exit", resolve));
    plugin?.kill("SIGKILL");
    await ended;
  };
  before(async () => {
    daemon = await startDaemon();
    cli = new Cli(name, daemon);
    await startPlugin();
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await stopPlugin();
    rmSync(socket, { force: true });
  });
  const cables = () =>
    spawnSync("ip", ["-o", "link"], { encoding: "utf8" }).stdout.match(/: ca[hi][0-9a-f]{10}/g)?.length ?? 0;
  const sleeper = (container: string, ...flags: string[]) =>
    cli.ok("run", "-d", "--name", container, "--network", "tangle", ...flags, "busybox", "sleep", "1000");
  const ping = (from: string, to: string) => cli.ok("exec", from, "ping", "-c", "1", "-W", "2", to);

  test("containers on its networks have its links, its addresses, and reach each other by name", async () => {
    const cablesBefore = cables();
    await cli.ok("network", "create", "--driver", driver, "--ipam-driver", driver, "--opt", "colour=red", "tangle");
    assert.match(await cli.ok("network", "ls"), new RegExp(`tangle\\s+${driver}\\s+local`));
    const subnet = await cli.ok("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", "tangle");
    assert.match(subnet, /^10\.131\.\d+\.0\/24$/);
    await sleeper("one");
    await sleeper("two", "--ip", subnet.replace("0/24", "77"), "--network-alias", "second");
    assert.match(await cli.ok("exec", "two", "ip", "-o", "-4", "addr", "show", "cable0"), /inet 10\.131\.\d+\.77\/24/);
    await ping("one", "two");
    await ping("two", "one");
    await ping("one", "second");
    const gateway = await cli.ok("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "tangle");
    assert.match(
      await cli.ok("exec", "one", "ip", "route", "show", "default"),
      new RegExp(`via ${gateway} dev cable0`),
    );
    // Running containers come and go as well.
    await cli.ok("run", "-d", "--name", "late", "busybox", "sleep", "1000");
    await cli.ok("network", "connect", "tangle", "late");
    await ping("late", "one");
    await cli.ok("network", "disconnect", "tangle", "late");
    assert.equal(cables(), cablesBefore + 2, "its cable is gone");

    await daemon.kill();
    await daemon.start();
    await ping("one", "two");
    await stopPlugin();
    // It may be starting: a call waits for it.
    const connected = cli.ok("network", "connect", "tangle", "late");
    await startPlugin();
    await connected;
    await ping("late", "one");
    await cli.ok("restart", "-t", "0", "one");
    await ping("two", "one");

    const inUse = await cli.run("network", "rm", "tangle");
    assert.match(inUse.err, /has active endpoints/);
    await cli.ok("rm", "-f", "one", "two", "late");
    assert.equal(cables(), cablesBefore);
    await cli.ok("network", "rm", "tangle");
    await cli.ok("network", "create", "--driver", driver, "--ipam-driver", driver, "--subnet", subnet, "tangle");
    await cli.ok("network", "rm", "tangle");
    assert.ok(existsSync(socket));
  });

  test("what the driver refuses is told in its words, and nothing is left", async () => {
    const list = await cli.ok("network", "ls", "-q");
    const fails = async (message: RegExp, ...args: string[]) => {
      const { code, err } = await cli.run("network", "create", ...args, "broken");
      assert.notEqual(code, 0);
      assert.match(err, message);
    };
    await fails(/could not find plugin|plugin .* not found/, "--driver", "nobody");
    await fails(/plugin "nobody" not found/, "--ipam-driver", "nobody");
    await fails(/pools of cables are \/24/, "--driver", driver, "--ipam-driver", driver, "--subnet", "10.131.9.0/25");
    await fails(/needs IPv4 and a gateway/, "--driver", driver, "--ipam-driver", "null");
    assert.equal(await cli.ok("network", "ls", "-q"), list);
    // The address pool was given back each time.
    await cli.ok("network", "create", "--driver", driver, "--ipam-driver", driver, "tangle");
    const taken = await cli.run("run", "--rm", "--network", "tangle", "--ip", "10.131.0.1", "busybox", "true");
    assert.notEqual(taken.code, 0);
    assert.match(taken.err, /10\.131\.0\.1 is taken|does not belong|no configured subnet/);
    await cli.ok("network", "rm", "tangle");
  });
}
