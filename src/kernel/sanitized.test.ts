/** What the tests of the addon do, once more with its code under the sanitizers. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const NATIVE = join(import.meta.dirname, "..", "..", "native");
const SANITIZED = join(NATIVE, "build", "gantry-sanitized.node");
const TESTS = ["new-files", "tree-tar", "stage"].map((name) => join(import.meta.dirname, `${name}.test.ts`));

/** Loads the other addon, and fails where nobody asked for it. */
const HOOK = `const load = process.dlopen;
let loaded = false;
process.dlopen = (module, path, ...flags) => {
  loaded ||= path.endsWith("/build/gantry.node");
  return load.call(process, module, path.endsWith("/build/gantry.node") ? ${JSON.stringify(SANITIZED)} : path, ...flags);
};
process.on("exit", () => { if (!loaded) process.exitCode = 9; });`;

test("the address and undefined-behaviour sanitizers find nothing in the addon's work with files and trees", (t) => {
  execFileSync("make", ["-s", "-C", NATIVE, "build/gantry-sanitized.node"]);
  const folder = mkdtempSync(join(tmpdir(), "gantry-sanitized-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const options = `log_path=${join(folder, "found")}`;
  const hook = `data:text/javascript,${encodeURIComponent(HOOK)}`;
  // Node itself leaves memory behind at its end.
  const env = {
    PATH: process.env.PATH,
    LD_PRELOAD: execFileSync("cc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).trim(),
    ASAN_OPTIONS: `${options}:detect_leaks=0`,
    UBSAN_OPTIONS: `${options}:print_stacktrace=1`,
  };
  const words = ["--import", hook, "--test", "--test-isolation=none", ...TESTS];
  const { status, stdout } = spawnSync(process.execPath, words, { env, encoding: "utf8", timeout: 240_000 });
  for (const name of readdirSync(folder)) assert.fail(readFileSync(join(folder, name), "utf8"));
  assert.equal(status, 0, stdout);
});
