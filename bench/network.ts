/** A container's network: opened and closed, against the same made by hand with ip(8). */
import { run } from "../src/kernel/spawn.ts";
import { makeWorld, requestFor } from "../src/networks/networks.fixture.ts";
import type { SandboxRequest } from "../src/networks/networks.ts";
import { median, printFigures, timeEach } from "./lib/table.ts";

const TIMES = 40;
/** Time to make the next namespace ready, as between two containers that a person starts. */
const PAUSE_MS = 20;
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

async function main(): Promise<void> {
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  await pause();
  const measure = async (change: (index: number) => Partial<SandboxRequest>) => {
    const [open, close]: [number[], number[]] = [[], []];
    await timeEach(TIMES, async (index) => {
      const request = requestFor(`c${index}`, change(index));
      open.push(...(await timeEach(1, () => world.networks.open(request), 0)));
      await pause();
      close.push(...(await timeEach(1, () => world.networks.close(request.containerId), 0)));
      await pause();
    });
    return { open: median(open), close: median(close) };
  };
  const bridge = await measure(() => ({}));
  const published = await measure((index) => ({
    portBindings: { "80/tcp": [{ HostPort: String(22_000 + index + 3) }] },
  }));
  const none = await measure(() => ({ primary: "none" }));
  const requests = Array.from({ length: 100 }, (_, index) => requestFor(`many${index}`));
  const [burst = 0] = await timeEach(1, () => Promise.all(requests.map((request) => world.networks.open(request))), 0);
  const hand = await byHand(world.networks.inspect("bridge").Options["com.docker.network.bridge.name"] ?? "");
  const floor = (value: number) => ({ what: "ip(8), two batches", value });
  printFigures([
    { what: "bridge: open", value: bridge.open, unit: "ms", floor: floor(hand.open), most: 1 },
    { what: "bridge: close", value: bridge.close, unit: "ms", floor: floor(hand.close), most: 1 },
    { what: "bridge with a port: open", value: published.open, unit: "ms", most: 3 },
    { what: "bridge with a port: close", value: published.close, unit: "ms", most: 3 },
    { what: "none: open", value: none.open, unit: "ms" },
    { what: "none: close", value: none.close, unit: "ms" },
    { what: "bridge: open, each of 100 at once", value: burst / requests.length, unit: "ms" },
  ]);
}

async function byHand(bridge: string): Promise<{ open: number; close: number }> {
  const [open, close]: [number[], number[]] = [[], []];
  const ip = async (...args: string[]) => {
    const { code, stderr } = await run("ip", args);
    if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  };
  const batch = async (name: string[], lines: string[]) => {
    const { code, stderr } = await run("ip", [...name, "-batch", "-"], { input: `${lines.join("\n")}\n` });
    if (code !== 0) throw new Error(stderr.toString());
  };
  const name = `gbench${process.pid}`;
  await timeEach(TIMES, async () => {
    open.push(
      ...(await timeEach(
        1,
        async () => {
          await ip("netns", "add", name);
          await batch([], [`link add gbench0 master ${bridge} up type veth peer name eth0 netns ${name}`]);
          const inner = [
            "link set lo up",
            "link set eth0 up",
            "addr add 172.31.255.2/30 dev eth0",
            "route add default via 172.31.255.1",
          ];
          await batch(["-n", name], inner);
        },
        0,
      )),
    );
    close.push(...(await timeEach(1, () => ip("link", "del", "gbench0").then(() => ip("netns", "del", name)), 0)));
  });
  return { open: median(open), close: median(close) };
}

await main();
