/** Keeps the rules of ARCHITECTURE.md: who may import whom, and who may touch the machine. The table is data; every exception has its reason. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

/** Imports go down only. Modules of one rank do not import each other at ranks 3 and 5. */
const RANKS: Readonly<Record<string, number>> = {
  base: 0,
  oci: 1,
  kernel: 1,
  store: 2,
  events: 2,
  plugins: 2,
  content: 3,
  snapshots: 3,
  volumes: 3,
  networks: 3,
  logs: 3,
  runtime: 3,
  remote: 4,
  images: 4,
  registry: 4,
  containers: 5,
  builder: 5,
  engine: 6,
  buildkit: 6,
  api: 7,
  client: 7,
  compose: 8,
  cli: 8,
  daemon: 9,
};

/** Ranks whose modules stay apart from each other. */
const APART = new Set([3, 5]);

/** What works against a far engine knows only its wire types. */
const FAR = new Set(["client", "cli", "compose"]);
const FAR_MAY_IMPORT = new Set(["base", "oci", "client", "cli", "compose"]);

interface Exception {
  readonly from: RegExp;
  readonly to: RegExp;
  readonly because: string;
}

const EXCEPTIONS: readonly Exception[] = [
  { from: /./, to: /^api\/types\//, because: "the wire types are the vocabulary of the domain (docs/decisions/0001)" },
  {
    from: /^runtime\//,
    to: /^logs\/logs\.ts$/,
    because: "the contract alone: a log sink is a value that the monitor is given",
  },
  {
    from: /^cli\/build\//,
    to: /^builder\/dockerfile\/ignore\.ts$/,
    because: "pure: the client leaves out what the ignore file names, by the daemon's own rules",
  },
  {
    from: /^cli\//,
    to: /^daemon\/main\.ts$/,
    because: "`gantry daemon` is the daemon; imported when that command runs",
  },
  {
    from: /^cli\//,
    to: /^registry\/main\.ts$/,
    because: "`gantry registry` works on a registry's own folder; imported when that command runs",
  },
];

interface Import {
  readonly from: string;
  readonly to: string;
}

const sources = globSync("**/*.ts", { cwd: import.meta.dirname }).filter(
  (path) => !/\.(test|fixture)\.ts$/.test(path) && !path.startsWith("testing/"),
);
const text = (path: string) => readFileSync(join(import.meta.dirname, path), "utf8");
const moduleOf = (path: string) => path.split("/")[0] ?? "";

function importsOf(path: string): Import[] {
  const specifiers = [...text(path).matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => match[1] ?? "");
  return specifiers.map((specifier) => ({ from: path, to: normalize(join(dirname(path), specifier)) }));
}

function allowed({ from, to }: Import): boolean {
  const [above, below] = [moduleOf(from), moduleOf(to)];
  if (above === below) return true;
  if (EXCEPTIONS.some((exception) => exception.from.test(from) && exception.to.test(to))) return true;
  if (FAR.has(above)) return FAR_MAY_IMPORT.has(below);
  const [high, low] = [RANKS[above] ?? -1, RANKS[below] ?? 99];
  return low < high || (low === high && !APART.has(low));
}

test("imports go down only", () => {
  const wrong = sources.flatMap(importsOf).filter((edge) => !edge.to.startsWith("..") && !allowed(edge));
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

test("every folder of src has a rank", () => {
  const unknown = new Set(sources.map(moduleOf).filter((name) => !(name in RANKS) && !name.endsWith(".ts")));
  assert.deepEqual([...unknown], []);
});

interface Ban {
  readonly what: RegExp;
  readonly outside: RegExp;
  readonly instead: string;
}

const BANS: readonly Ban[] = [
  {
    what: /"node:child_process"/,
    outside: /^(cli|client)\//,
    instead: "kernel/spawn.ts, whose cost does not grow with the daemon's memory",
  },
  { what: /kernel\/native\.ts"|"\.\/native\.ts"/, outside: /^kernel\//, instead: "the facility's own file in kernel/" },
  {
    what: /\/kernel\/spawn\.ts"/,
    outside: /^(kernel|runtime)\//,
    instead: "a function of kernel/ or runtime/ named for the purpose",
  },
  { what: /process\.env\b/, outside: /^(daemon|cli)\//, instead: "an option that the daemon or the CLI fills in" },
  { what: /"\/var\/lib\/gantry/, outside: /^(store\/paths|daemon\/|cli\/|engine\/)/, instead: "store/paths.ts" },
  { what: /^export default\b/m, outside: /^$/, instead: "a named export" },
  { what: /^\s*(?:export )?(?:const )?enum\b/m, outside: /^$/, instead: "a union of literals" },
];

test("the machine is reached through one door", () => {
  const wrong = sources.flatMap((path) =>
    BANS.filter(({ what, outside }) => !outside.test(path) && what.test(text(path))).map(
      ({ what, instead }) => `${path} has ${what}: use ${instead}`,
    ),
  );
  assert.deepEqual(wrong, []);
});

test("the Dockerfile parser does no input or output", () => {
  const wrong = sources.filter(
    (path) => path.startsWith("builder/dockerfile/") && /"node:(fs|net|http|child_process)/.test(text(path)),
  );
  assert.deepEqual(wrong, []);
});
