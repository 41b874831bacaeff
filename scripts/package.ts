/**
 * Makes the package that others install: `node scripts/package.ts [folder]` writes gantry-<version>.tgz there. In it are programs and the library as
 * JavaScript, since Node strips no types below node_modules, with declarations, and the native part as source, which the installation compiles.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { cliBundle, DAEMON_BUNDLE, make, placesOfSources, WORKERS } from "./bundle.ts";

const ROOT = join(import.meta.dirname, "..");
/** As they are. */
const COPIED = ["bin", "native", "src/registry/page/files", "LICENSE", "README.md", "CHANGELOG.md"];
/** What can be imported: name → source. */
const EXPORTS = { ".": "src/engine/index.ts", "./builder": "src/builder/program/index.ts" } as const;

const [destination = "."] = process.argv.slice(2);
const stage = mkdtempSync(join(tmpdir(), "gantry-package-"));
try {
  for (const path of COPIED)
    cpSync(join(ROOT, path), join(stage, path), { recursive: true, filter: (from) => !from.endsWith("native/build") });
  await Promise.all([makePrograms(), makeLibrary()]);
  // Nothing newer to look for.
  for (const name of ["cli", "daemon"]) writeFileSync(join(stage, "dist", name, "current.sh"), "");
  run(join(ROOT, "node_modules", ".bin", "tsc"), ...declarations());
  writeFileSync(join(stage, "package.json"), JSON.stringify(manifest(), undefined, 2));
  mkdirSync(destination, { recursive: true });
  process.stdout.write(run("npm", "pack", "--silent", "--pack-destination", resolve(destination)));
} finally {
  rmSync(stage, { recursive: true, force: true });
}

async function makePrograms(): Promise<void> {
  const dist = join(stage, "dist");
  await make(
    cliBundle((server) => `../library/${server}.mjs`),
    dist,
  );
  await make(DAEMON_BUNDLE, dist);
}

/** One set of modules for all that may be in one process. */
async function makeLibrary(): Promise<void> {
  const servers = { daemon: "src/daemon/main.ts", registry: "src/registry/main.ts" };
  const workers = Object.fromEntries(WORKERS.map((path) => [/([^/]+)\.ts$/.exec(path)?.[1] ?? "", path]));
  await build({
    absWorkingDir: ROOT,
    entryPoints: { index: EXPORTS["."], builder: EXPORTS["./builder"], ...servers, ...workers },
    outdir: join(stage, "dist", "library"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    packages: "external",
    plugins: [placesOfSources],
  });
}

function declarations(): string[] {
  const options = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--rewriteRelativeImportExtensions"];
  const config = join(stage, "tsconfig.json");
  const files = Object.values(EXPORTS).map((path) => join(ROOT, path));
  const typeRoots = [join(ROOT, "node_modules", "@types")];
  writeFileSync(
    config,
    JSON.stringify({ extends: join(ROOT, "tsconfig.json"), include: [], files, compilerOptions: { typeRoots } }),
  );
  return ["-p", config, ...options, "--rootDir", join(ROOT, "src"), "--outDir", join(stage, "dist", "types")];
}

function manifest(): object {
  const own = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const { name, version, description, license, type, engines, bin, dependencies, optionalDependencies } = own;
  const exported = Object.entries(EXPORTS).map(([path, source]) => {
    const types = source.replace(/^src\/(.*)\.ts$/, "./dist/types/$1.d.ts");
    return [path, { types, default: `./dist/library/${path === "." ? "index" : path.slice(2)}.mjs` }];
  });
  const exports = Object.fromEntries(exported);
  const files = ["bin", "dist", "native", "src", "CHANGELOG.md"];
  const scripts = { install: "make -s -C native" };
  return {
    name,
    version,
    description,
    license,
    type,
    engines,
    bin,
    exports,
    files,
    scripts,
    dependencies,
    optionalDependencies,
  };
}

function run(file: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd: stage, encoding: "utf8" });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${error?.message ?? stdout + stderr}`);
  return stdout;
}
