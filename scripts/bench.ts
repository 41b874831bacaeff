/** `npm run bench [name …]`: the benchmarks of bench/, one after another; each prints a table of ratios taken in one run. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join } from "node:path";

const folder = join(import.meta.dirname, "..", "bench");
const all = globSync("*.ts", { cwd: folder })
  .map((file) => basename(file, ".ts"))
  .toSorted();
const chosen = process.argv.slice(2);

for (const name of chosen.length > 0 ? chosen : all) {
  if (!all.includes(name)) {
    console.error(`no benchmark ${JSON.stringify(name)}; there are: ${all.join(", ")}`);
    process.exitCode = 1;
    continue;
  }
  console.log(`\n${name}`);
  // This certificate bundle would be parsed at each start of an older Node; none of the figures is about that.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const { status } = spawnSync(process.execPath, [join(folder, `${name}.ts`)], { stdio: "inherit", env });
  if (status !== 0) process.exitCode = 1;
}
