/** SIGUSR1: what the process is doing, written where only root reads it. Node's report without the environment. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { writeFileAtomic } from "../base/files.ts";

/** Returns the file's path. Garbage is collected before, so that the heap's figures say what is held: some 50 ms. */
export function writeDiagnostics(folder: string): string {
  collectGarbage();
  process.report.excludeEnv = true;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `diagnostics-${new Date().toISOString().replaceAll(":", "")}.json`);
  writeFileAtomic(path, JSON.stringify(process.report.getReport(), null, 2), { mode: 0o600 });
  return path;
}

/** V8 shows its function only to contexts that are made after the flag was set. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  setFlagsFromString("--no-expose-gc");
}
