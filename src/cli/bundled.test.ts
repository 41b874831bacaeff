import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const ENTRY = join(import.meta.dirname, "..", "..", "scripts", "bundled-cli.cjs");
const PROGRAM = `function later() { return process.argv.slice(2).join(" "); }
console.log(later()); process.exit(process.argv[3] === "fails" ? 3 : 0);`;

/** A small program in place of the CLI, under a digest of its own. */
function makeProgram() {
  const folder = mkdtempSync(join(tmpdir(), "gantry-bundled-"));
  const digest = randomBytes(16).toString("hex");
  copyFileSync(ENTRY, join(folder, "main.cjs"));
  writeFileSync(join(folder, "gantry.cjs"), `//${digest}\n${PROGRAM}`);
  const { XDG_CACHE_HOME } = process.env;
  const own = join(XDG_CACHE_HOME || join(homedir(), ".cache"), "gantry", "compile");
  const place = process.getuid?.() === 0 ? "/var/cache/gantry/compile" : own;
  const cache = (command: string) => join(place, `gantry-${digest}-${process.version}-${command}`);
  return {
    cache,
    run: (...args: string[]) =>
      spawnSync(process.execPath, ["--", join(folder, "main.cjs"), ...args], { encoding: "utf8" }),
    [Symbol.dispose]: () => {
      for (const command of ["build", "ps", "gantry"]) rmSync(cache(command), { force: true });
      rmSync(folder, { recursive: true });
    },
  };
}

test("what a command compiled is kept for it, and used by its next run", () => {
  using program = makeProgram();
  assert.equal(program.run("build", "a").stdout, "build a\n");
  const first = statSync(program.cache("build"));
  assert.equal(first.mode & 0o777, 0o600);
  assert.equal(program.run("build", "b").stdout, "build b\n");
  assert.equal(statSync(program.cache("build")).ino, first.ino, "it was taken as it was");
  assert.ok(!existsSync(program.cache("ps")));
  assert.equal(program.run("../x", "b").stdout, "../x b\n");
  assert.ok(existsSync(program.cache("gantry")), "words that are no command's name have one between them");
});

test("a kept file that is damaged is replaced, and one that says nothing of a command that failed is not made", () => {
  using program = makeProgram();
  assert.equal(program.run("ps", "fails").status, 3);
  assert.ok(!existsSync(program.cache("ps")));
  program.run("ps");
  const whole = readFileSync(program.cache("ps"));
  for (const damaged of [Buffer.alloc(0), whole.subarray(0, 100), Buffer.alloc(whole.length, 7)]) {
    writeFileSync(program.cache("ps"), damaged);
    const { status, stdout, stderr } = program.run("ps", "on");
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: "ps on\n", stderr: "" });
    assert.notDeepEqual(readFileSync(program.cache("ps")), damaged);
  }
});
