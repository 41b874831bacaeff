/**
 * Makes dist/cli from src/cli: one file that loads three times as fast as the sources; `main.cjs`, which runs it; and `current.sh`, by
 * which bin/gantry goes back to the sources when one of them has changed since. Optional: without it, bin/gantry runs the sources.
 */
import { mkdirSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const OUT = join(ROOT, "dist", "cli");

const { outputFiles, metafile } = await build({
  stdin: {
    contents:
      'import { main } from "./src/cli/dispatch.ts"; main(process.argv.slice(2), process.env).then((code) => process.exit(code));',
    resolveDir: ROOT,
  },
  absWorkingDir: ROOT,
  bundle: true,
  write: false,
  metafile: true,
  format: "cjs",
  platform: "node",
  target: "node26",
  minifySyntax: true,
  minifyWhitespace: true,
  outfile: join(OUT, "gantry.cjs"),
  define: { "import.meta.dirname": "__dirname" },
  plugins: [
    {
      name: "the servers stay outside",
      setup: ({ onResolve }) =>
        onResolve({ filter: /\/(?:daemon|registry)\/main\.ts$/ }, ({ path }) => ({
          path: path.replace(/^(?:\.\.\/)+/, "../../src/"),
          external: true,
        })),
    },
  ],
});

const sources = Object.keys(metafile.inputs).filter((path) => path.startsWith("src/"));
const newest = Math.max(...sources.map((path) => statSync(join(ROOT, path)).mtimeMs));

/** Loading is most of what a short command takes: the cache of compiled code is worth 8 ms. */
const MAIN = `const { enableCompileCache } = require("node:module");
const { XDG_CACHE_HOME, HOME } = process.env;
const own = XDG_CACHE_HOME || (HOME && \`\${HOME}/.cache\`);
const cache = process.getuid() === 0 ? "/var/cache/gantry/compile" : own && \`\${own}/gantry/compile\`;
if (cache) enableCompileCache(cache);
require("./gantry.cjs");
`;

/** Part of bin/gantry. The shell asks for 230 files' times in a third of the 4 ms that Node takes before its code is warm. */
const CURRENT = `for source in ${sources.join(" ")}; do
  [ "$root/$source" -nt "$root/dist/cli/main.cjs" ] && main=$root/src/cli/main.ts && break
done
`;

mkdirSync(OUT, { recursive: true });
for (const [name, text] of [
  ["gantry.cjs", outputFiles[0]?.text ?? ""],
  ["current.sh", CURRENT],
  ["main.cjs", MAIN],
] as const) {
  const path = join(OUT, name);
  writeFileSync(`${path}.new`, text);
  // As old as what it was made from, so that a source that is changed while this runs is newer. Full milliseconds: Node cuts finer ones.
  utimesSync(`${path}.new`, new Date(), new Date(Math.ceil(newest)));
  // Renamed into place: another process may be starting.
  renameSync(`${path}.new`, path);
}
