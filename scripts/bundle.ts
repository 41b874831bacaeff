/**
 * Makes dist/cli and dist/daemon from the sources: programs of one file each, and one for each worker thread, which load several times as fast. Beside each lies
 * `current.sh`, by which bin/gantry and bin/gantryd go back to the sources when one of them has changed since. Optional: without
 * them, the sources run.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";

const ROOT = join(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");

/** Each is loaded when it is asked for, and not part of the CLI. `place` is where: "daemon" → "../../src/daemon/main.ts". */
const serversOutside = (place: (server: string) => string): Plugin => ({
  name: "the servers stay outside",
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/(?:daemon|registry)\/main\.ts$/ }, ({ path }) => ({
      path: place(basename(dirname(path))),
      external: true,
    })),
});

/** What a module finds relative to itself (the addon, the workers' files) it finds from the bundle too. */
export const placesOfSources: Plugin = {
  name: "modules know where they were",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      const place = `../../${relative(ROOT, path)}`;
      const contents = text
        .replaceAll(WORKER_PLACE, 'new URL("./$1.mjs", import.meta["url"])')
        .replaceAll("import.meta.url", `new URL(${JSON.stringify(place)}, import.meta.url).href`)
        .replaceAll("import.meta.dirname", `(import.meta.dirname + ${JSON.stringify(`/${dirname(place)}`)})`)
        .replaceAll("import.meta.main", "false");
      return { contents, loader: "ts", resolveDir: dirname(path) };
    }),
};

/** A worker's file, bundled too, lies beside the bundle. */
const WORKER_PLACE = /new URL\("\.\/([a-z]+-worker)\.ts", import\.meta\.url\)/g;

/** The entries of the engine's threads: a file each, beside the program's. */
export const WORKERS = [
  "src/builder/ops/files/files-worker.ts",
  "src/registry/auth/bcrypt-worker.ts",
  "src/snapshots/unpack-worker.ts",
  "src/volumes/mirror-worker.ts",
] as const;

interface Bundle {
  /** The folder below dist/. */
  readonly name: string;
  readonly entry: string;
  /** The program runs this file. */
  readonly file: string;
  readonly options: BuildOptions;
  /** The last word on its text. */
  readonly finish?: ((text: string) => string) | undefined;
  readonly workers?: readonly string[];
  /** Further files: name → text. */
  readonly beside?: Readonly<Record<string, string>>;
}

/** The text under its own digest, by which what is compiled from it is known: bundled-cli.cjs. */
function named(text: string): string {
  return `//${createHash("sha256").update(text).digest("hex").slice(0, 32)}\n${text}`;
}

export const cliBundle = (place: Parameters<typeof serversOutside>[0]): Bundle => ({
  name: "cli",
  entry:
    'import { main } from "./src/cli/dispatch.ts"; main(process.argv.slice(2), process.env).then((code) => process.exit(code));',
  file: "gantry.cjs",
  options: {
    format: "cjs",
    minifySyntax: true,
    minifyWhitespace: true,
    define: { "import.meta.dirname": "__dirname" },
    plugins: [serversOutside(place)],
  },
  // It runs as a vm script, where Node complains about import(); main.cjs has another word for it.
  finish: (text) => text.replaceAll(/\bimport\((?="(?:\.\.\/|node:))/g, "load("),
  beside: { "main.cjs": readFileSync(join(import.meta.dirname, "bundled-cli.cjs"), "utf8") },
});

export const DAEMON_BUNDLE: Bundle = {
  name: "daemon",
  entry:
    'import { main } from "./src/daemon/main.ts"; const { GANTRYD_NAME, ...env } = process.env; process.exit(await main(process.argv.slice(2), env, GANTRYD_NAME));',
  file: "main.mjs",
  options: { format: "esm", packages: "external", plugins: [placesOfSources] },
  workers: WORKERS,
};

/** Post-condition: `<dist>/<name>` has the bundle's files. */
export async function make(bundle: Bundle, dist: string): Promise<void> {
  const { name, entry, file, finish = (text) => text, workers = [], beside = {} } = bundle;
  const main = await textOf(bundle, { stdin: { contents: entry, resolveDir: ROOT } });
  const files: Record<string, string> = { [file]: named(finish(main.text)), ...beside };
  const sources = new Set(main.sources);
  for (const path of workers) {
    const worker = await textOf(bundle, { entryPoints: [path] });
    files[basename(path).replace(/ts$/, "mjs")] = worker.text;
    for (const source of worker.sources) sources.add(source);
  }
  files["current.sh"] = currentScript(name, file, [...sources]);
  const newest = Math.max(...[...sources].map((path) => statSync(join(ROOT, path)).mtimeMs));
  mkdirSync(join(dist, name), { recursive: true });
  for (const [name_, text] of Object.entries(files)) put(join(dist, name, name_), text, newest);
}

async function textOf(
  { name, file, options }: Bundle,
  entry: BuildOptions,
): Promise<{ text: string; sources: string[] }> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    target: "node26",
    outfile: join(DIST, name, file),
    ...options,
    ...entry,
  });
  const sources = Object.keys(metafile?.inputs ?? {}).filter((path) => path.startsWith("src/"));
  return { text: outputFiles?.[0]?.text ?? "", sources };
}

/** Part of bin/gantry and bin/gantryd. The shell asks for 230 files' times in a third of the 4 ms that Node takes before its code is warm. */
function currentScript(name: string, file: string, sources: readonly string[]): string {
  return `for source in ${sources.join(" ")}; do
  [ "$root/$source" -nt "$root/dist/${name}/${file}" ] && main=$root/src/${name}/main.ts && break
done
`;
}

function put(path: string, text: string, newest: number): void {
  writeFileSync(`${path}.new`, text);
  // As old as what it was made from, so that a source that is changed while this runs is newer. Full milliseconds: Node cuts finer ones.
  utimesSync(`${path}.new`, new Date(), new Date(Math.ceil(newest)));
  // Renamed into place: another process may be starting.
  renameSync(`${path}.new`, path);
}

if (import.meta.main) {
  const bundles = [cliBundle((server) => `../../src/${server}/main.ts`), DAEMON_BUNDLE];
  await Promise.all(bundles.map((bundle) => make(bundle, DIST)));
}
