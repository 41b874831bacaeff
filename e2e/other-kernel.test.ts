/** What the kernels of small machines lack: sctp, ipvlan, VLANs, nfs. The same tests everywhere, on a kernel that has them. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { guestProblem, runGuest } from "../scripts/guest.ts";
import { run } from "../src/kernel/spawn.ts";

const FILES = ["src/networks/parented-driver.test.ts", "e2e/guest-networks.test.ts"];
/** macvlan was tried on this machine. */
const SKIPPED = "--test-skip-pattern=/macvlan network/";
/** Also for a busy machine without virtualisation; it takes less than a minute with it. */
const SECONDS = 540;

const skip = guestProblem({ download: process.env.CI === "true" }) ?? (process.getuid?.() !== 0 && "needs root");

describe("another kernel", { skip }, () => {
  it("carries sctp ports, ipvlan networks and volumes on servers", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gantry-guest-"));
    try {
      const command = ["node", "--test", "--test-isolation=none", "--test-reporter=tap", SKIPPED, ...FILES];
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
