/** What the kernel of this machine lacks, or has only one kind of, on another kernel: control groups of version 2, AppArmor, sctp, ipvlan, nfs. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { guestProblem, runGuest } from "../scripts/guest.ts";
import { openCgroups } from "../src/kernel/cgroups.ts";
import { run } from "../src/kernel/spawn.ts";

const CGROUP_FILES = [
  "src/kernel/cgroups.test.ts",
  "src/kernel/overlay-options.test.ts",
  "src/runtime/limits.test.ts",
  "src/runtime/open.test.ts",
  "src/containers/oom.test.ts",
  "e2e/limits.test.ts",
  "e2e/apparmor.test.ts",
];
const NETWORK_FILES = ["src/networks/parented-driver.test.ts", "e2e/guest-networks.test.ts"];
/**
 * Each field that limits, which takes minutes without virtualisation: try e2e/limits.test.ts alone in the guest. What every kernel can with
 * macvlan was tried on this one.
 */
const SKIPPED = ["/keeps [A-Z]/", "/macvlan network/"].map((pattern) => `--test-skip-pattern=${pattern}`);
/** Also for a busy machine without virtualisation; it takes less than a minute with it. */
const SECONDS = 600;

const skip = guestProblem({ download: process.env.CI === "true" }) ?? (process.getuid?.() !== 0 && "needs root");

describe("another kernel", { skip }, () => {
  it("limits, counts, freezes and ends containers, and carries their networks and volumes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gantry-guest-"));
    try {
      const files = [...(openCgroups().version === 2 ? [] : CGROUP_FILES), ...NETWORK_FILES];
      const command = ["node", "--test", "--test-isolation=none", "--test-reporter=tap", ...SKIPPED, ...files];
      const env = { GANTRY_GUEST: await makeSctp(folder) };
      const { exitCode, output, console } = await runGuest({ command, env, seconds: SECONDS });
      assert.equal(exitCode, 0, exitCode === undefined ? `the guest ended early:\n${console}\n${output}` : output);
      assert.match(output, /^# pass [1-9]/m);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Made here: a compiler takes long in the guest. */
async function makeSctp(folder: string): Promise<string> {
  const program = join(folder, "sctp");
  const source = join(import.meta.dirname, "lib", "sctp.c");
  const { code, stderr } = await run("cc", ["-O1", "-static", "-o", program, source]);
  assert.equal(code, 0, stderr.toString());
  return program;
}
