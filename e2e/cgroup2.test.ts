/** Limits on control groups of version 2 where this machine has version 1: the same tests, on another kernel. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { guestProblem, runGuest } from "../scripts/guest.ts";
import { openCgroups } from "../src/kernel/cgroups.ts";

const FILES = [
  "src/kernel/cgroups.test.ts",
  "src/kernel/overlay-options.test.ts",
  "src/runtime/limits.test.ts",
  "src/runtime/open.test.ts",
  "src/containers/oom.test.ts",
  "e2e/limits.test.ts",
  "e2e/apparmor.test.ts",
];
/** Each field that limits, which takes minutes without virtualisation: try e2e/limits.test.ts alone in the guest. */
const SKIPPED = "--test-skip-pattern=/keeps [A-Z]/";
/** Also for a busy machine without virtualisation; it takes less than a minute with it. */
const SECONDS = 540;

const here = openCgroups().version === 2 && "this machine has version 2: the tests of kernel and runtime ran on it";
const skip = here || (guestProblem({ download: process.env.CI === "true" }) ?? false);

describe("control groups of version 2", { skip }, () => {
  it("limit, count, freeze and end containers of both runtimes", async () => {
    const command = ["node", "--test", "--test-isolation=none", "--test-reporter=tap", SKIPPED, ...FILES];
    const { exitCode, output, console } = await runGuest({ command, seconds: SECONDS });
    assert.equal(exitCode, 0, exitCode === undefined ? `the guest ended early:\n${console}\n${output}` : output);
    assert.match(output, /^# pass [1-9]/m);
  });
});
