import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { killProcess, run, spawn } from "../kernel/spawn.ts";

const INIT = new URL("../../native/build/gantry-init", import.meta.url).pathname;
const SIGUSR1 = 10;

test("gantry-init ends as its command does, and says what it could not run", async () => {
  const cases: [string[], number, RegExp][] = [
    [["--", "sh", "-c", "exit 7"], 7, /^$/],
    [["sh", "-c", "kill -9 $$"], 137, /^$/],
    [["no-such-program"], 127, /^gantry-init: no-such-program: No such file or directory\n$/],
    [["/etc/passwd"], 126, /^gantry-init: \/etc\/passwd: Permission denied\n$/],
    [["--"], 127, /^gantry-init: no command\n$/],
  ];
  for (const [args, code, message] of cases) {
    const result = await run(INIT, args);
    assert.equal(result.code, code, args.join(" "));
    assert.match(result.stderr.toString(), message);
  }
});

test("gantry-init passes signals on, and its command starts with none blocked", async () => {
  const script = "grep SigBlk /proc/self/status; trap 'exit 9' USR1; while :; do sleep 0.05; done";
  const probe = await run(INIT, ["grep", "SigBlk", "/proc/self/status"]);
  assert.match(probe.stdout.toString(), /^SigBlk:\t0+\n$/);
  const child = spawn({ file: INIT, args: ["sh", "-c", script] });
  let over = false;
  child.exited.then(() => (over = true));
  // The trap is not set at once; until then the signal would end the shell with 138.
  while (!over && !childCatches(child.pid, SIGUSR1)) await new Promise(setImmediate);
  killProcess(child.pid, SIGUSR1);
  assert.deepEqual(await child.exited, { code: 9, signal: null });
});

test("gantry-init reaps what its command leaves behind", async () => {
  const script = "(sleep 0.1 & exec true) & wait; sleep 0.4; wc -w </proc/$PPID/task/$PPID/children";
  const { stdout } = await run(INIT, ["sh", "-c", script]);
  assert.equal(stdout.toString().trim(), "1");
});

function childCatches(pid: number, signal: number): boolean {
  try {
    const [child = ""] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    const caught = /^SigCgt:\t(\w+)/m.exec(readFileSync(`/proc/${child}/status`, "utf8"))?.[1] ?? "0";
    return (BigInt(`0x${caught}`) & (1n << BigInt(signal - 1))) !== 0n;
  } catch {
    return false;
  }
}
