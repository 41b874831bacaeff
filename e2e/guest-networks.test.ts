/** sctp ports, ipvlan networks and volumes on servers: in the virtual machine of other-kernel.test.ts, which has an nfs server besides. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountTable } from "../src/kernel/mounts.ts";
import { run } from "../src/kernel/spawn.ts";
import { type Machine, makeMachine } from "../src/networks/traffic.fixture.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

const skip =
  (process.getuid?.() !== 0 && "needs root") ||
  (!existsSync("/usr/bin/busybox") && "needs busybox-static") ||
  (process.env.GANTRY_GUEST === undefined && "other-kernel.test.ts runs this in a virtual machine");

const PORT = 3868;
const LINK = "gm10-215-1";
const [HOST6, MACHINE6] = ["fd00:215:1::1", "fd00:215:1::2"];

describe("what many kernels lack", { skip }, () => {
  let daemon: TestDaemon;
  let cli: Cli;
  let machine: Machine;
  let program: string;

  before(async () => {
    daemon = await startDaemon();
    cli = new Cli(missing("docker") === false ? "docker" : "gantry", daemon);
    program = process.env.GANTRY_GUEST ?? "";
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

  /** Takes a port as a program of the host. */
  async function hold(port: number): Promise<Disposable> {
    const holder = spawn(program, ["hold", String(port)], { stdio: ["ignore", "pipe", "ignore"] });
    const [line] = await Promise.race([once(holder.stdout, "data"), once(holder, "exit")]);
    assert.equal(String(line), "ready\n");
    return { [Symbol.dispose]: () => void holder.kill("SIGKILL") };
  }

  const isFree = async (port: number): Promise<boolean> => {
    try {
      using _holder = await hold(port);
      return true;
    } catch {
      return false;
    }
  };

  /** Whom the server saw, and how much came. */
  const ask = (address: string, port = PORT) => ok(program, "ask", address, String(port));
  const askFrom = (netns: string, address: string) =>
    ok("nsenter", `--net=${netns}`, program, "ask", address, String(PORT));
  const all = (address: string) => `${address} ${40 * 1200}`;

  it("sctp ports are reached from another machine, which is seen as who it is", async () => {
    assert.equal(await askFrom(machine.netns, machine.hostAddress), all(machine.address));
    assert.equal(await askFrom(machine.netns, HOST6), all(MACHINE6));
  });

  it("sctp ports are reached from the host, at its address and at 127.0.0.1", async () => {
    assert.equal(await ask(machine.hostAddress), all(machine.hostAddress));
    assert.equal(await ask("127.0.0.1"), all("10.215.2.1"));
  });

  it("sctp ports are reached from other containers, by the host's address and by the container's own", async () => {
    const client = ["run", "--rm", "--network", "lan", "-v", `${program}:/sctp:ro`, "busybox", "sh", "-c"];
    const addresses = [machine.hostAddress, HOST6, "10.215.2.2", "fd00:215:2::2"];
    const script = addresses.map((address) => `/sctp ask ${address} ${PORT}`).join(" && ");
    const seen = await cli.ok(...client, script);
    const own = ["10.215.2.1", "fd00:215:2::1", "10.215.2.3", "fd00:215:2::3"];
    assert.deepEqual(seen.split("\n"), own.map(all));
  });

  it("sctp ports are shown, and held against other programs of the host and other containers", async () => {
    assert.match(await cli.ok("port", "server", `${PORT}/sctp`), /^0\.0\.0\.0:3868$/m);
    await assert.rejects(ok(program, "serve", String(PORT)), /bind: Address already in use/);
    const { code, err } = await cli.run("run", "--rm", "-p", `${PORT}:1/sctp`, "busybox", "true");
    assert.notEqual(code, 0);
    assert.match(err, /port is already allocated/);
  });

  it("sctp ports are refused before anything is changed when a program of the host has them", async () => {
    using _holder = await hold(3869);
    const { code, err } = await cli.run("run", "--rm", "-p", "3869:1/sctp", "busybox", "true");
    assert.notEqual(code, 0);
    assert.match(err, /address already in use/);
  });

  it("ipvlan containers find each other by name, and what is outside", async () => {
    const words = `network create -d ipvlan -o parent=${LINK} --subnet 10.215.1.0/24 --gateway 10.215.1.2 -o ipvlan_mode=l2 vlan`;
    await cli.ok(...words.split(" "));
    await cli.ok("run", "-d", "--name", "one", "--network", "vlan", "--ip", "10.215.1.50", "busybox", "sleep", "1000");
    const script = `ping -c 1 -W 5 one && ping -c 1 -W 5 ${machine.address}`;
    await cli.ok("run", "--rm", "--network", "vlan", "busybox", "sh", "-c", script);
    const [network] = JSON.parse(await cli.ok("network", "inspect", "vlan"));
    assert.deepEqual([network.Driver, network.Options], ["ipvlan", { ipvlan_mode: "l2", parent: LINK }]);
    await daemon.call("DELETE", "/containers/one?force=1");
    await daemon.call("DELETE", "/networks/vlan");
    assert.doesNotMatch(await ok("ip", "-d", "link", "show"), /ipvlan/);
  });

  const make = (Name: string, DriverOpts: Readonly<Record<string, string>>) =>
    daemon.call("POST", "/volumes/create", { Name, DriverOpts });
  const nfs = (name: string, device: string, more: string) =>
    make(name, { type: "nfs", o: `addr=127.0.0.1,nfsvers=4,${more}`, device });
  /** Starts a container that uses the volume. */
  const start = async (volume: string) => {
    const body = { Image: "busybox", Cmd: ["true"], HostConfig: { NetworkMode: "none", Binds: [`${volume}:/data`] } };
    const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", body);
    await daemon.call("POST", `/containers/${Id}/start`);
  };
  const mounts = () => mountTable().filter(({ type, target }) => type === "nfs4" && target.startsWith(daemon.dataRoot));
  const waits = () => globSync("/proc/[0-9]*/comm").some((path) => readComm(path) === "gantry-mount\n");

  it("an nfs volume is mounted while somebody uses it, and what is on the server outlives it", async () => {
    const exports = join(daemon.folder, "exports");
    await ok("sh", join(import.meta.dirname, "lib", "nfsd.sh"), exports);
    const o = "o=addr=127.0.0.1,rw,nfsvers=4";
    await cli.ok("volume", "create", "-o", "type=nfs", "-o", o, "-o", "device=:/export", "files");
    await cli.ok("run", "-d", "--name", "user", "-v", "files:/data", "busybox", "sleep", "1000");
    const script = "cat /data/there && echo here >/data/here && ln /data/here /data/too && stat -c %h /data/too";
    assert.equal(await cli.ok("run", "--rm", "-v", "files:/data", "busybox", "sh", "-c", script), "hello\n2");
    assert.equal(readFileSync(join(exports, "export", "too"), "utf8"), "here\n");
    assert.equal(mounts()[0]?.source, "127.0.0.1:/export");
    const [{ Options }] = JSON.parse(await cli.ok("volume", "inspect", "files"));
    assert.deepEqual(Options, { device: ":/export", o: "addr=127.0.0.1,rw,nfsvers=4", type: "nfs" });
    await daemon.call("DELETE", "/containers/user?force=1");
    await until(() => mounts().length === 0);
    await daemon.call("DELETE", "/volumes/files");
    assert.deepEqual(readdirSync(join(exports, "export")).sort(), ["here", "there", "too"]);
  });

  it("a server that refuses is told with what to look at", async () => {
    await nfs("nobody", ":/export", "port=2050");
    await nfs("nothing", ":/nothing", "rw");
    await make("share", { type: "cifs", o: "username=a,password=secret", device: "//127.0.0.1/x" });
    await assert.rejects(start("nobody"), /failed to mount local volume: .*: connection refused.*nfs port/);
    await assert.rejects(
      start("nothing"),
      /failed to mount local volume: .*: no such file or directory.*no such export/,
    );
    await assert.rejects(start("share"), /failed to mount local volume: .*password=\*+: connection refused/);
    assert.deepEqual(mounts(), []);
  });

  it("a server that says nothing holds up nobody but who asks for its volume, and no end of gantryd", async () => {
    const silence = createServer(() => {}).listen(0, "127.0.0.1");
    await once(silence, "listening");
    const { port } = silence.address() as AddressInfo;
    await nfs("slow", ":/export", `port=${port},timeo=20,retrans=1`);
    await assert.rejects(start("slow"), /failed to mount local volume: .*: input\/output error/);
    await nfs("silent", ":/export", `port=${port}`);
    const started = assert.rejects(start("silent"));
    await until(waits);
    for (const path of ["/containers/json", "/volumes", "/volumes/silent", "/system/df", "/info"])
      await daemon.call("GET", path);
    assert.ok(waits(), "it is still waited for");
    await daemon.kill();
    await until(() => !waits());
    await started;
    silence.close();
  });

  it("sctp ports stay while gantryd is away, and are held again when it is back", async () => {
    await daemon.kill();
    assert.equal(await askFrom(machine.netns, machine.hostAddress), all(machine.address));
    await daemon.start();
    assert.deepEqual(mounts(), []);
    assert.equal(await askFrom(machine.netns, HOST6), all(MACHINE6));
    await assert.rejects(ok(program, "serve", String(PORT)), /bind: Address already in use/);
  });

  it("sctp ports are refused to callers, and free, once the container is stopped", async () => {
    await cli.ok("stop", "-t", "0", "server");
    await assert.rejects(ask("127.0.0.1"), /connect: Connection refused/);
    await assert.rejects(askFrom(machine.netns, HOST6), /connect: Connection refused/);
    // What a container had is given back after its end, not before.
    await until(() => isFree(PORT));
  });
});

async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; !(await happened()); attempt++) {
    assert.ok(attempt < 1200, "what was waited for did not happen");
    await sleep(50);
  }
}

/** "" for a process that is gone by now. */
function readComm(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
