/**
 * What goes through the networks: throughput of a bridge and of a published port against the same made by hand with ip(8) and nft(8),
 * names looked up from inside a container, networks joined and left while it runs. Argument: seconds of each measurement (0.3).
 * Needs a C compiler, as the native part does.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyRuleset } from "../src/kernel/nftables.ts";
import { run, spawn } from "../src/kernel/spawn.ts";
import { makeWorld, requestFor, type World } from "../src/networks/networks.fixture.ts";
import type { Sandbox } from "../src/networks/networks.ts";
import { serve } from "../src/networks/traffic.fixture.ts";
import { freePorts } from "../src/testing/free-port.ts";
import { type Figure, median, printFigures, timeEach } from "./lib/table.ts";

const SECONDS = Number(process.argv[2] ?? 0.3);
/** Ours and by hand in turns, each first as often: the median of the rounds' ratios counts, so that what else the machine does falls on both. */
const ROUNDS = 16;
/** Of lookups, and of each of them. */
const LOOKUP = { rounds: 10, times: 400, pauseUs: 1000 } as const;
/** In which the kernel removes a link. */
const PAUSE_MS = 60;
const SINK_PORT = 5001;
const ECHO_PORT = 5002;

interface Route {
  /** Where the source runs; undefined: the host. */
  readonly from: string | undefined;
  readonly address: string;
  readonly port: number;
}

async function main(): Promise<void> {
  await using world = await makeWorld();
  using peer = await compile();
  program = peer.path;
  const figures = [...(await throughput(world)), ...(await lookups(world)), ...(await membership(world))];
  const { stdout } = await run("cat", ["/proc/loadavg"]);
  console.log(`load: ${stdout.toString().trim()}`);
  printFigures(figures);
}

let program = "";

/** bench/lib/peer.c. */
async function compile(): Promise<Disposable & { readonly path: string }> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-bench-"));
  const path = join(folder, "peer");
  const { code, stderr } = await run("cc", ["-O2", "-o", path, join(import.meta.dirname, "lib/peer.c")]);
  if (code !== 0) throw new Error(stderr.toString());
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

async function throughput(world: World): Promise<Figure[]> {
  const port = await freePorts(1);
  await world.networks.create({ Name: "both", EnableIPv6: true });
  const portBindings = { [`${SINK_PORT}/tcp`]: [{ HostPort: String(port) }] };
  const target = await world.networks.open(requestFor("target", { primary: "both", portBindings }));
  const source = await world.networks.open(requestFor("source", { primary: "both" }));
  const { IPAddress, GlobalIPv6Address, Gateway, IPv6Gateway } = target.endpoints.both ?? {};
  await using hand = await byHand(port);
  using _ours = serving(target.netns ?? "", "sink", SINK_PORT);
  using _theirs = serving(hand.target, "sink", SINK_PORT);
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
    const rounds: { mine: number; floor: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const early = round % 2 === 0 ? await push(ours) : 0;
      const floor = await push(theirs);
      rounds.push({ mine: early || (await push(ours)), floor });
    }
    const ratio = median(rounds.map(({ mine, floor }) => mine / floor));
    const value = median(rounds.map(({ mine }) => mine)) / 1e6;
    figures.push({ what, value, unit: "MB/s", floor: { what: "by hand", value: value / ratio }, least: 0.9 });
  }
  return figures;
}

function serving(netns: string, mode: "sink" | "echo", port: number): Disposable {
  const args = [`--net=${netns}`, "--", program, mode, String(port)];
  const child = spawn({ file: "nsenter", args, stdio: ["null", "null", 2] });
  return { [Symbol.dispose]: () => process.kill(child.pid, 9) };
}

async function push({ from, address, port }: Route): Promise<number> {
  return Number(await inside(from, ["source", address, String(port), String(SECONDS)]));
}

async function inside(netns: string | undefined, args: readonly string[]): Promise<string> {
  const command = [program, ...args];
  const [file = "", ...rest] = netns === undefined ? command : ["nsenter", `--net=${netns}`, "--", ...command];
  const { code, stdout, stderr } = await run(file, rest, { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
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
  using _echo = serving(asker.netns ?? "", "echo", ECHO_PORT);
  const ask = async (address: string, port: number, times: number) => {
    const args = ["ask", address, String(port), "db", String(times), String(LOOKUP.pauseUs)];
    return (await inside(asker.netns, args)).trim().split("\n").map(Number);
  };
  const [names, echoes]: [number[], number[]] = [[], []];
  await ask("127.0.0.11", 53, 300);
  for (let round = 0; round < LOOKUP.rounds; round++) {
    names.push(...(await ask("127.0.0.11", 53, LOOKUP.times)));
    echoes.push(...(await ask("127.0.0.1", ECHO_PORT, LOOKUP.times)));
  }
  const at = (taken: readonly number[], share: number) =>
    taken.toSorted((a, b) => a - b)[Math.floor(taken.length * share)] ?? Number.NaN;
  return [
    { what: "name lookup, median", value: at(names, 0.5), unit: "ms" },
    { what: "UDP echo in C, median", value: at(echoes, 0.5), unit: "ms" },
    { what: "name lookup, p99", value: at(names, 0.99), unit: "ms", most: 1 },
    { what: "UDP echo in C, p99", value: at(echoes, 0.99), unit: "ms" },
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
