/**
 * `npm test`: every check of the project, the quick ones first. Arguments are test files (default: all); with them the
 * static checks are left out.
 */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");
const bin = (name: string) => join(root, "node_modules", ".bin", name);
const chosen = process.argv.slice(2);

const CHECKS: readonly { readonly what: string; readonly command: readonly string[] }[] = [
  { what: "types", command: [bin("tsc"), "--noEmit", "-p", root] },
  { what: "style", command: [bin("biome"), "check", "--error-on-warnings", root] },
  { what: "dead code", command: [bin("knip"), "--no-progress"] },
];

function main(): number {
  if (chosen.length === 0) {
    const failed = CHECKS.filter(({ what, command }) => !passes(what, command));
    if (failed.length > 0) {
      console.error(`\nfailed: ${failed.map(({ what }) => what).join(", ")}`);
      return 1;
    }
  }
  const before = resources();
  const status = runTests(
    chosen.length > 0 ? chosen : globSync("{src,scripts,docs,e2e}/**/*.test.ts", { cwd: root }).toSorted(),
  );
  return Math.max(status, reportLeaks(before));
}

function passes(what: string, [file = "", ...args]: readonly string[]): boolean {
  process.stdout.write(`checking ${what}\n`);
  return spawnSync(file, args, { stdio: "inherit", cwd: root }).status === 0;
}

/**
 * A process per file: tests mount, make namespaces and start daemons. Two at a time, as the smallest machine has cores. On CI a file
 * that failed has one more chance, alone: a machine that others load must not refuse a change, and what is broken fails twice.
 */
function runTests(files: readonly string[]): number {
  const guests = files.filter((file) => GUESTS.has(file));
  const status = runTwice(files.filter((file) => !GUESTS.has(file)));
  if (guests.length === 0) return status;
  if (process.env.CI !== "true" || sinceStart() < GUESTS_UNTIL_MS) return Math.max(status, runTwice(guests));
  console.error(
    `\nNOT RUN, as this machine is too slow to emulate another one in the time that is left:\n  ${guests.join("\n  ")}`,
  );
  return status;
}

/** They emulate a machine, with both processors for minutes. */
const GUESTS: ReadonlySet<string> = new Set(["e2e/cgroup2.test.ts", "e2e/other-kernel.test.ts"]);

/** CI gives everything 20 minutes; without virtualisation the guests take five of them. */
const GUESTS_UNTIL_MS = 14.5 * 60_000;

/** Milliseconds since the set-up began. */
function sinceStart(): number {
  return Date.now() - Number(process.env.GANTRY_SET_UP_SINCE ?? Date.now());
}

function runTwice(files: readonly string[]): number {
  if (files.length === 0) return 0;
  const { status, failed } = runOnce(files, 2);
  if (status === 0 || process.env.CI !== "true" || failed.length === 0 || failed.length > MAX_SECOND_CHANCES)
    return status;
  console.error(`\nonce more, each alone:\n  ${failed.join("\n  ")}\n`);
  const again = runOnce(failed, 1);
  if (again.status === 0) console.error(`\nUNSTEADY, failed and then passed alone:\n  ${failed.join("\n  ")}`);
  return again.status;
}

const MAX_SECOND_CHANCES = 5;

function runOnce(files: readonly string[], atOnce: number): { status: number; failed: readonly string[] } {
  const folder = mkdtempSync(join(tmpdir(), "gantry-tests-"));
  const list = join(folder, "failed");
  const reporters = [
    ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
    ...[`--test-reporter=${join(import.meta.dirname, "failed-files.ts")}`, `--test-reporter-destination=${list}`],
  ];
  const args = ["--test", `--test-concurrency=${atOnce}`, "--test-timeout=600000", ...reporters, ...files];
  // A docker CLI that the set-up fetched is the last resort.
  const env = { ...process.env, PATH: `${process.env.PATH}:${join(root, "node_modules", ".cache")}` };
  try {
    const status = spawnSync(process.execPath, args, { stdio: "inherit", cwd: root, env }).status ?? 1;
    const lines = readFileSync(list, "utf8").split("\n");
    return { status, failed: lines.filter((line) => line !== "").map((path) => relative(root, path)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a test must take away again: mounts, namespaces, links, runtime state. */
function resources(): ReadonlyMap<string, ReadonlySet<string>> {
  mkdirSync("/run", { recursive: true });
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "");
  return new Map([
    ["mount", new Set(mounts)],
    ["link", new Set(readdirSync("/sys/class/net"))],
  ]);
}

function reportLeaks(before: ReadonlyMap<string, ReadonlySet<string>>): number {
  const leaks = [...resources()].flatMap(([kind, now]) =>
    [...now].filter((name) => !before.get(kind)?.has(name)).map((name) => `${kind} ${name}`),
  );
  if (leaks.length === 0) return 0;
  console.error(`left behind by the tests:\n  ${leaks.join("\n  ")}`);
  return 1;
}

process.exitCode = main();
