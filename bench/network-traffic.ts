/**
 * What goes through the networks: throughput of a bridge and of a published port against the same made by hand with ip(8) and nft(8),
 * names looked up from inside a container, networks joined and left while it runs. Argument: seconds of each measurement (0.3).
 */
import { applyRuleset } from "../src/kernel/nftables.ts";
import { run, spawn } from "../src/kernel/spawn.ts";
import { makeWorld, requestFor, type World } from "../src/networks/networks.fixture.ts";
import type { Sandbox } from "../src/networks/networks.ts";
import { serve } from "../src/networks/traffic.fixture.ts";
import { freePorts } from "../src/testing/free-port.ts";
import { type Figure, median, printFigures, timeEach } from "./lib/table.ts";

const SECONDS = Number(process.argv[2] ?? 0.3);
/** Of which the best counts: what else the machine does only takes away. */
const ROUNDS = 15;
const LOOKUPS = 3000;
/** In which the kernel removes a link. */
const PAUSE_MS = 60;
const SINK_PORT = 5001;

const SINK = `
require("node:net").createServer((socket) => {
  let bytes = 0;
  socket.on("data", (chunk) => { bytes += chunk.length; });
  socket.on("end", () => socket.end(String(bytes)));
  socket.on("error", () => {});
}).listen(${SINK_PORT}, "::");`;

/** Arguments: address, port, seconds. Prints bytes per second, as the other end counted them. */
const SOURCE = `
const [host, port, seconds] = process.argv.slice(1);
const chunk = Buffer.alloc(1 << 18);
const socket = require("node:net").connect({ host, port: Number(port), allowHalfOpen: true });
const start = performance.now();
const write = () => {
  while (performance.now() - start < seconds * 1000) if (!socket.write(chunk)) return void socket.once("drain", write);
  socket.end();
};
socket.on("connect", write);
socket.on("data", (text) => console.log(Number(text) / ((performance.now() - start) / 1000)));`;

/** Arguments: server, name, times. Prints the milliseconds of each lookup, one after another. */
const LOOK_UP = `
const [server, name, times] = process.argv.slice(1);
const labels = Buffer.concat([...name.split("."), ""].map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])));
const socket = require("node:dgram").createSocket("udp4");
const [taken, query] = [[], Buffer.concat([Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), labels, Buffer.from([0, 1, 0, 1])])];
let start = 0;
const ask = () => {
  query.writeUInt16BE(taken.length & 0xffff);
  start = performance.now();
  socket.send(query, 53, server);
};
socket.on("message", (answer) => {
  if (answer.readUInt16BE(6) !== 1) throw new Error("no answer");
  taken.push(performance.now() - start);
  if (taken.length < Number(times)) return void setTimeout(ask, 1);
  console.log(JSON.stringify(taken));
  socket.close();
});
ask();`;

interface Route {
  /** Where the source runs; undefined: the host. */
  readonly from: string | undefined;
  readonly address: string;
  readonly port: number;
}

async function main(): Promise<void> {
  await using world = await makeWorld();
  const figures = [...(await throughput(world)), ...(await lookups(world)), ...(await membership(world))];
  const { stdout } = await run("cat", ["/proc/loadavg"]);
  console.log(`load: ${stdout.toString().trim()}`);
  printFigures(figures);
}

async function throughput(world: World): Promise<Figure[]> {
  const port = await freePorts(1);
  await world.networks.create({ Name: "both", EnableIPv6: true });
  const portBindings = { [`${SINK_PORT}/tcp`]: [{ HostPort: String(port) }] };
  const target = await world.networks.open(requestFor("target", { primary: "both", portBindings }));
  const source = await world.networks.open(requestFor("source", { primary: "both" }));
  const { IPAddress, GlobalIPv6Address, Gateway, IPv6Gateway } = target.endpoints.both ?? {};
  await using hand = await byHand(port);
  using _ours = sink(target.netns ?? "");
  using _theirs = sink(hand.target);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const routes: readonly (readonly [string, Route, Route])[] = [
    [
      "bridge, IPv4",
      { from: source.netns, address: IPAddress ?? "", port: SINK_PORT },
      { from: hand.source, address: `${HAND[4]}.2`, port: SINK_PORT },
    ],
    [
      "bridge, IPv6",
      { from: source.netns, address: GlobalIPv6Address ?? "", port: SINK_PORT },
      { from: hand.source, address: `${HAND[6]}::2`, port: SINK_PORT },
    ],
    [
      "published port, IPv4",
      { from: undefined, address: Gateway ?? "", port },
      { from: undefined, address: `${HAND[4]}.1`, port },
    ],
    [
      "published port, IPv6",
      { from: undefined, address: IPv6Gateway ?? "", port },
      { from: undefined, address: `${HAND[6]}::1`, port },
    ],
  ];
  const figures: Figure[] = [];
  for (const [what, ours, theirs] of routes) {
    const [mine, floor]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      mine.push(await push(ours));
      floor.push(await push(theirs));
    }
    const peer = { what: "by hand", value: Math.max(...floor) / 1e6 };
    figures.push({ what, value: Math.max(...mine) / 1e6, unit: "MB/s", floor: peer, least: 0.9 });
  }
  return figures;
}

function sink(netns: string): Disposable {
  const args = [`--net=${netns}`, "--", process.execPath, "-e", SINK];
  const child = spawn({ file: "nsenter", args, stdio: ["null", "null", 2] });
  return { [Symbol.dispose]: () => process.kill(child.pid, 9) };
}

async function push({ from, address, port }: Route): Promise<number> {
  return Number(await script(from, SOURCE, address, String(port), String(SECONDS)));
}

async function script(netns: string | undefined, text: string, ...args: string[]): Promise<string> {
  const command = [process.execPath, "-e", text, ...args];
  const [file = "", ...rest] = netns === undefined ? command : ["nsenter", `--net=${netns}`, "--", ...command];
  const { code, stdout, stderr } = await run(file, rest, { timeoutMs: 60_000 });
  if (code !== 0 || stdout.length === 0) throw new Error(`${address(args)}: ${stderr.toString()}`);
  return stdout.toString();
}

function address([host = "", port = ""]: readonly string[]): string {
  return `${host} ${port}`;
}

const HAND = { 4: "10.214.77", 6: "fd00:214:77" } as const;

interface Hand extends AsyncDisposable {
  readonly target: string;
  readonly source: string;
}

/** A bridge, two namespaces on it, and the rules of a published port. */
async function byHand(port: number): Promise<Hand> {
  const tag = `gb${process.pid}`;
  const [bridge, table] = [`${tag}b`, `gantry_bench_${process.pid}`];
  const names = [`${tag}t`, `${tag}s`];
  const ip = async (...args: string[]) => {
    const { code, stderr } = await run("ip", args);
    if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  };
  await ip("link", "add", bridge, "type", "bridge");
  await ip("addr", "add", `${HAND[4]}.1/24`, "dev", bridge);
  await ip("addr", "add", `${HAND[6]}::1/64`, "dev", bridge, "nodad");
  await ip("link", "set", bridge, "up");
  for (const [index, name] of names.entries()) {
    await ip("netns", "add", name);
    await ip("link", "add", name, "master", bridge, "up", "type", "veth", "peer", "name", "eth0", "netns", name);
    for (const link of ["lo", "eth0"]) await ip("-n", name, "link", "set", link, "up");
    await ip("-n", name, "addr", "add", `${HAND[4]}.${index + 2}/24`, "dev", "eth0");
    await ip("-n", name, "addr", "add", `${HAND[6]}::${index + 2}/64`, "dev", "eth0", "nodad");
    await ip("-n", name, "route", "add", "default", "via", `${HAND[4]}.1`);
  }
  await applyRuleset(`table inet ${table} {
  chain output {
    type nat hook output priority -100;
    ip daddr ${HAND[4]}.1 tcp dport ${port} dnat ip to ${HAND[4]}.2:${SINK_PORT}
    ip6 daddr ${HAND[6]}::1 tcp dport ${port} dnat ip6 to [${HAND[6]}::2]:${SINK_PORT}
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    ip saddr ${HAND[4]}.0/24 oifname != "${bridge}" masquerade
    ip6 saddr ${HAND[6]}::/64 oifname != "${bridge}" masquerade
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    ct status dnat accept
    iifname "${bridge}" accept
    oifname "${bridge}" drop
  }
}\n`);
  return {
    target: `/run/netns/${names[0]}`,
    source: `/run/netns/${names[1]}`,
    async [Symbol.asyncDispose]() {
      await applyRuleset(`delete table inet ${table}\n`);
      for (const name of names) await ip("netns", "del", name);
      await ip("link", "del", bridge);
    },
  };
}

async function lookups(world: World): Promise<Figure[]> {
  await world.networks.create({ Name: "names" });
  const asker = await world.networks.open(requestFor("asker", { primary: "names" }));
  await world.networks.open(requestFor("db", { primary: "names" }));
  const taken = JSON.parse(await script(asker.netns, LOOK_UP, "127.0.0.11", "db", String(LOOKUPS))) as number[];
  const sorted = taken.slice(100).toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return [
    { what: "name lookup, median", value: at(0.5), unit: "ms" },
    { what: "name lookup, p99", value: at(0.99), unit: "ms", most: 1 },
  ];
}

async function membership(world: World): Promise<Figure[]> {
  const portBindings = { "80/tcp": [{ HostPort: String(await freePorts(1)) }] };
  const request = requestFor("joiner", { portBindings });
  const sandbox: Sandbox = await world.networks.open(request);
  using _server = await serve(sandbox.netns ?? "", 80);
  await world.networks.create({ Name: "side" });
  const once = async () => {
    await world.networks.connect("side", request.containerId, {});
    await world.networks.disconnect("side", request.containerId, false);
  };
  const single: number[] = [];
  for (let round = 0; round < 30; round++) {
    single.push(...(await timeEach(1, once, 0)));
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  const again = await timeEach(30, once);
  return [
    { what: "connect + disconnect of a running container", value: median(single), unit: "ms", most: 20 },
    // Waits for the kernel to remove the last one's link, whose name it takes.
    { what: "the same, at once again", value: median(again), unit: "ms" },
  ];
}

await main();
