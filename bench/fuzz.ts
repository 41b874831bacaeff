/** A long run of the fuzzer by hand: `node bench/fuzz.ts [requests] [seed]`. Prints what the daemon held every tenth of the way. */
import { fuzz } from "../e2e/lib/fuzz.ts";
import { prepareFuzz } from "../e2e/lib/fuzz-names.ts";
import { holdings } from "../e2e/lib/watch.ts";
import { startDaemon } from "../src/testing/daemon.ts";

const [requests = 100_000, seed = Date.now() % 1e9] = process.argv.slice(2).map(Number);
await using daemon = await startDaemon({ flags: ["--bridge", "none"] });
const socket = daemon.host.slice("unix://".length);
const statuses: Record<string, number> = {};
const internal = new Set<string>();
console.log(`seed ${seed}`, await holdings(daemon));
for (let part = 0; part < 10; part++) {
  const names = await prepareFuzz(daemon);
  const result = await fuzz({ socket, names, requests: requests / 10, parallel: 16, seed: seed + part });
  for (const [status, count] of Object.entries(result.statuses)) statuses[status] = (statuses[status] ?? 0) + count;
  for (const one of result.internal) internal.add(one);
  const { Containers } = await daemon.call<{ Containers: number }>("GET", "/info");
  console.log(`${((part + 1) * requests) / 10}`, await holdings(daemon), `${Containers} containers`);
}
console.log(statuses);
for (const one of [...internal].slice(0, 20)) console.log(one);
