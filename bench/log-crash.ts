/** A million lines through kill -9 of gantryd at random points: `node bench/log-crash.ts [lines] [kills]`. Ends with 1 when one is lost or doubled. */
import { countThroughKills } from "../e2e/lib/counting.ts";
import { startDaemon } from "../src/testing/daemon.ts";

const [lines = 1_000_000, kills = 40] = process.argv.slice(2).map(Number);
await using daemon = await startDaemon();
for (const Type of ["json-file", "local"]) {
  const log = { Type, Config: { "max-size": "2m", "max-file": "100", compress: "true" } };
  const counted = await countThroughKills(daemon, { lines, atOnce: 2000, kills, within: 800, log });
  console.log(`${Type}: ${lines} lines, ${kills} kills, ${counted.connections} connections of the follower`);
  console.log(`  followed: ${counted.followed ?? "each once"}; read back: ${counted.read ?? "each once"}`);
  if (counted.followed !== undefined || counted.read !== undefined) process.exitCode = 1;
}
