/**
 * Makes dist/cli from src/cli: one file that loads three times as fast as the sources, and `main.cjs`, which runs it unless a
 * source has changed since. Optional: without it, bin/gantry runs the sources.
 */
import { mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
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
const toRoot = relative(OUT, ROOT);

/** Loading is most of what a short command takes: the cache of compiled code is worth 8 ms, the check costs half of one. */
const MAIN = `const { statSync } = require("node:fs");
const { enableCompileCache } = require("node:module");
const { join } = require("node:path");
const SOURCES = ${JSON.stringify(sources)};
const NEWEST = ${newest};
const current = SOURCES.every((path) => {
  const stat = statSync(join(__dirname, "${toRoot}", path), { throwIfNoEntry: false });
  return stat === undefined || stat.mtimeMs <= NEWEST;
});
if (current) {
  const { XDG_CACHE_HOME, HOME } = process.env;
  const own = XDG_CACHE_HOME || (HOME && join(HOME, ".cache"));
  const cache = process.getuid() === 0 ? "/var/cache/gantry/compile" : own && join(own, "gantry", "compile");
  if (cache) enableCompileCache(cache);
  require("./gantry.cjs");
} else import("${toRoot}/src/cli/main.ts");
`;

mkdirSync(OUT, { recursive: true });
for (const [name, text] of [
  ["gantry.cjs", outputFiles[0]?.text ?? ""],
  ["main.cjs", MAIN],
] as const) {
  // Renamed into place: another process may be starting.
  writeFileSync(join(OUT, `${name}.new`), text);
  renameSync(join(OUT, `${name}.new`), join(OUT, name));
}
