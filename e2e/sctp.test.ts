/** Published sctp ports, where the kernel has the protocol: the virtual machine of cgroup2.test.ts does. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../src/kernel/spawn.ts";
import { type Machine, makeMachine } from "../src/networks/traffic.fixture.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

const skip =
  (process.getuid?.() !== 0 && "needs root") ||
  (!existsSync("/usr/bin/busybox") && "needs busybox-static") ||
  (!existsSync("/proc/net/sctp") && "the kernel has no sctp; cgroup2.test.ts runs this on one that has");

const PORT = 3868;
const LINK = "gm10-215-1";
const [HOST6, MACHINE6] = ["fd00:215:1::1", "fd00:215:1::2"];

describe("published sctp ports", { skip }, () => {
  let daemon: TestDaemon;
  let cli: Cli;
  let machine: Machine;
  let program: string;

  before(async () => {
    daemon = await startDaemon();
    cli = new Cli(missing("docker") === false ? "docker" : "gantry", daemon);
    program = join(daemon.folder, "sctp");
    await ok("cc", "-O1", "-static", "-o", program, join(import.meta.dirname, "lib", "sctp.c"));
    machine = await makeMachine("10.215.1");
    await ok("ip", "address", "add", `${HOST6}/64`, "dev", LINK, "nodad");
    const script = `ip address add ${MACHINE6}/64 dev eth0 nodad && ip route add default via ${HOST6}`;
    await ok("nsenter", `--net=${machine.netns}`, "sh", "-c", script);
    const ranges = ["--subnet", "10.215.2.0/24", "--subnet", "fd00:215:2::/64"];
    await cli.ok("network", "create", "--ipv6", ...ranges, "lan");
    const server = ["--network", "lan", "-v", `${program}:/sctp:ro`, "busybox", "/sctp", "serve", `${PORT}`];
    await cli.ok("run", "-d", "--name", "server", "-p", `${PORT}:${PORT}/sctp`, ...server);
  });
  after(async () => {
    machine?.[Symbol.dispose]();
    await daemon?.[Symbol.asyncDispose]();
  });

  async function ok(file: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(file, args);
    if (code !== 0) throw new Error(stderr.toString().trim());
    return stdout.toString().trim();
  }

  /** Whom the server saw, and how much came. */
  const ask = (address: string, port = PORT) => ok(program, "ask", address, String(port));
  const askFrom = (netns: string, address: string) =>
    ok("nsenter", `--net=${netns}`, program, "ask", address, String(PORT));
  const all = (address: string) => `${address} ${40 * 1200}`;

  it("are reached from another machine, which is seen as who it is", async () => {
    assert.equal(await askFrom(machine.netns, machine.hostAddress), all(machine.address));
    assert.equal(await askFrom(machine.netns, HOST6), all(MACHINE6));
  });

  it("are reached from the host, at its addresses and at 127.0.0.1", async () => {
    assert.equal(await ask(machine.hostAddress), all(machine.hostAddress));
    assert.equal(await ask("127.0.0.1"), all("10.215.2.1"));
    assert.equal(await ask(HOST6), all(HOST6));
  });

  it("are reached from other containers, by the host's address and by the container's own", async () => {
    const client = ["run", "--rm", "--network", "lan", "-v", `${program}:/sctp:ro`, "busybox", "sh", "-c"];
    const addresses = [machine.hostAddress, HOST6, "10.215.2.2", "fd00:215:2::2"];
    const script = addresses.map((address) => `/sctp ask ${address} ${PORT}`).join(" && ");
    const seen = await cli.ok(...client, script);
    const own = ["10.215.2.1", "fd00:215:2::1", "10.215.2.3", "fd00:215:2::3"];
    assert.deepEqual(seen.split("\n"), own.map(all));
  });

  it("are shown, and held against other programs of the host and other containers", async () => {
    assert.match(await cli.ok("ps", "--format", "{{.Ports}}"), /0\.0\.0\.0:3868->3868\/sctp/);
    assert.match(await cli.ok("port", "server", `${PORT}/sctp`), /^0\.0\.0\.0:3868$/m);
    await assert.rejects(ok(program, "serve", String(PORT)), /bind: Address already in use/);
    const { code, err } = await cli.run("run", "--rm", "-p", `${PORT}:1/sctp`, "busybox", "true");
    assert.notEqual(code, 0);
    assert.match(err, /port is already allocated/);
  });

  it("are refused before anything is changed when a program of the host has them", async () => {
    const holder: ChildProcess = spawn(program, ["hold", "3869"], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await new Promise((resolve) => holder.stdout?.once("data", resolve));
      const { code, err } = await cli.run("run", "--rm", "-p", "3869:1/sctp", "busybox", "true");
      assert.notEqual(code, 0);
      assert.match(err, /address already in use/);
    } finally {
      holder.kill("SIGKILL");
    }
  });

  it("stay while gantryd is away, and are held again when it is back", async () => {
    await daemon.kill();
    assert.equal(await askFrom(machine.netns, machine.hostAddress), all(machine.address));
    await daemon.start();
    assert.equal(await askFrom(machine.netns, HOST6), all(MACHINE6));
    await assert.rejects(ok(program, "serve", String(PORT)), /bind: Address already in use/);
  });

  it("are refused to callers, and free, once the container is stopped", async () => {
    await cli.ok("stop", "-t", "0", "server");
    await assert.rejects(ask("127.0.0.1"), /connect: Connection refused/);
    await assert.rejects(askFrom(machine.netns, HOST6), /connect: Connection refused/);
    const holder: ChildProcess = spawn(program, ["hold", String(PORT)], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await new Promise<Buffer[]>((resolve) => holder.stdout?.once("data", (chunk) => resolve([chunk])));
    holder.kill("SIGKILL");
    assert.equal(line?.toString(), "ready\n");
  });
});
