/** The daemon itself: from the start to an answering socket, and its memory while it has nothing to do. */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { proportionalMemory, startDaemon } from "../src/testing/daemon.ts";
import { median, printFigures, timeEach } from "./lib/table.ts";

const empty = median(await timeEach(9, () => spawnSync(process.execPath, ["-e", "0"])));
await using daemon = await startDaemon();
const starts: number[] = [];
for (let i = 0; i < 7; i++) {
  await daemon.kill("SIGTERM");
  const begin = performance.now();
  await daemon.start();
  starts.push(performance.now() - begin);
}
await sleep(3000);
printFigures([
  { what: "start to answering socket", value: median(starts), unit: "ms", most: 400 },
  { what: "the same", value: median(starts), unit: "ms", floor: { what: "node -e 0", value: empty } },
  { what: "idle, proportional", value: proportionalMemory(daemon.pid) / 1024, unit: "MiB", most: 80 },
]);
