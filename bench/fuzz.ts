/**
 * A long run of the fuzzer by hand: `node bench/fuzz.ts [requests] [seed]`. Prints what the daemon held every tenth of the way, and at the
 * end whether that grows: the slope of a line through the figures, in KiB for ten thousand requests.
 */
import { fuzz } from "../e2e/lib/fuzz.ts";
import { prepareFuzz } from "../e2e/lib/fuzz-names.ts";
import { startDaemon } from "../src/testing/daemon.ts";
import { type Held, look, slope } from "./lib/held.ts";

const [requests = 100_000, seed = Date.now() % 1e9] = process.argv.slice(2).map(Number);
await using daemon = await startDaemon({ flags: ["--bridge", "none"] });
const socket = daemon.host.slice("unix://".length);
const statuses: Record<string, number> = {};
const internal = new Set<string>();
const held: Held[] = [];
console.log(`seed ${seed}`, await look(daemon));
for (let part = 0; part < 10; part++) {
  const names = await prepareFuzz(daemon);
  const result = await fuzz({ socket, names, requests: requests / 10, parallel: 16, seed: seed + part });
  for (const [status, count] of Object.entries(result.statuses)) statuses[status] = (statuses[status] ?? 0) + count;
  for (const one of result.internal) internal.add(one);
  const now = await look(daemon);
  held.push(now);
  console.log(`${((part + 1) * requests) / 10}`, now);
}
console.log(statuses);
for (const one of [...internal].slice(0, 20)) console.log(one);
for (const key of ["heap", "memory", "descriptors"] as const)
  console.log(
    `${key}: ${((slope(held.map((one) => one[key])) * 100_000) / requests).toFixed(1)} more for ten thousand requests`,
  );
