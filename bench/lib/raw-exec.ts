import { join } from "node:path";
import { openCgroups } from "../../src/kernel/cgroups.ts";
import { run } from "../../src/kernel/spawn.ts";
import { MONITOR_PATH } from "../../src/runtime/monitor.ts";
import type { TestDaemon } from "../../src/testing/daemon.ts";

const hybrid = openCgroups().hybrid;

/** `crun exec ID true` on a container that Gantry runs. */
export async function rawExec(daemon: TestDaemon, id: string): Promise<void> {
  const command = ["crun", "--root", join(daemon.execRoot, "runtime", "crun"), "exec", id, "true"];
  const argv = hybrid ? [MONITOR_PATH, "runtime", "--hide-unified", "--", ...command] : command;
  const { code, stderr } = await run(argv[0] ?? "", argv.slice(1));
  if (code !== 0) throw new Error(`crun exec: ${stderr}`);
}
