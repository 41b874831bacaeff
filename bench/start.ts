/** Starting containers: one after another against raw `crun run`, a hundred at once, exec, and what a sleeping one costs. */
import { availableParallelism } from "node:os";
import { processesOf, proportionalMemory, startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { rawRuntime } from "./lib/raw-crun.ts";
import { type Figure, median, printFigures, timeEach } from "./lib/table.ts";

const TIMES = 40;

async function main(): Promise<void> {
  await using daemon = await startDaemon();
  const raw = await rawRuntime(daemon);
  const floor = { what: "crun run", value: 0 };
  const times = { none: [] as number[], bridge: [] as number[], raw: [] as number[] };
  // Interleaved, so that a noisy neighbour disturbs all three alike.
  await timeEach(TIMES, async (i) => {
    for (const [name, run] of [
      ["raw", () => raw.runTrue()],
      ["none", () => lifecycle(daemon, "none")],
      ["bridge", () => lifecycle(daemon, "bridge")],
    ] as const) {
      const [taken = 0] = await timeEach(1, run, 0);
      if (i >= 0) times[name].push(taken);
    }
  });
  await raw.dispose();
  floor.value = median(times.raw);
  const bridge = median(times.bridge);
  const figures: Figure[] = [
    { what: "create+start+wait+remove, network none", value: median(times.none), unit: "ms", floor, most: 1.6 },
    { what: "create+start+wait+remove, bridge", value: bridge, unit: "ms", floor, most: 2 },
    {
      what: "100 starts at once",
      value: await hundredAtOnce(daemon),
      unit: "ms",
      floor: { what: "100 × single ÷ cores", value: (100 * bridge) / availableParallelism() },
      most: 1,
    },
    ...(await execAndMemory(daemon)),
  ];
  printFigures(figures);
}

async function create(daemon: TestDaemon, network: string, command: readonly string[]): Promise<string> {
  const request = { Image: "busybox", Cmd: command, HostConfig: { NetworkMode: network } };
  return (await daemon.call<{ Id: string }>("POST", "/containers/create", request)).Id;
}

async function lifecycle(daemon: TestDaemon, network: string): Promise<void> {
  const id = await create(daemon, network, ["true"]);
  const wait = daemon.call("POST", `/containers/${id}/wait?condition=next-exit`);
  await daemon.call("POST", `/containers/${id}/start`);
  await wait;
  await daemon.call("DELETE", `/containers/${id}`);
}

async function hundredAtOnce(daemon: TestDaemon): Promise<number> {
  const ids = await Promise.all(Array.from({ length: 100 }, () => create(daemon, "bridge", ["sleep", "300"])));
  const start = performance.now();
  await Promise.all(ids.map((id) => daemon.call("POST", `/containers/${id}/start`)));
  const taken = performance.now() - start;
  memory.hundred = monitorMemory(daemon);
  memory.daemonAfter = proportionalMemory(daemon.pid);
  await Promise.all(ids.map((id) => daemon.call("DELETE", `/containers/${id}?force=1`)));
  return taken;
}

const memory = { hundred: [] as number[], daemonAfter: 0 };

async function execAndMemory(daemon: TestDaemon): Promise<Figure[]> {
  const id = await create(daemon, "none", ["sleep", "300"]);
  await daemon.call("POST", `/containers/${id}/start`);
  const exec = await timeEach(TIMES, async () => {
    const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/${id}/exec`, {
      Cmd: ["true"],
      AttachStdout: true,
    });
    const response = await daemon.open("POST", `/exec/${Id}/start`, { Detach: false });
    for await (const _ of response);
  });
  const { rawExec } = await import("./lib/raw-exec.ts");
  const raw = await timeEach(TIMES, () => rawExec(daemon, id));
  return [
    {
      what: "exec of true",
      value: median(exec),
      unit: "ms",
      floor: { what: "crun exec", value: median(raw) },
      most: 3,
    },
    { what: "monitor of a sleeping container, proportional", value: median(memory.hundred), unit: "KiB", most: 300 },
    { what: "gantryd with 100 containers", value: memory.daemonAfter / 1024, unit: "MiB" },
  ];
}

function monitorMemory({ folder }: TestDaemon): number[] {
  return processesOf(folder).map(proportionalMemory);
}

await main();
