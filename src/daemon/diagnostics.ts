/** SIGUSR1: what the process is doing, written where only root reads it. Node's report without the environment. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/files.ts";

/** Returns the file's path. */
export function writeDiagnostics(folder: string): string {
  process.report.excludeEnv = true;
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `diagnostics-${new Date().toISOString().replaceAll(":", "")}.json`);
  writeFileAtomic(path, JSON.stringify(process.report.getReport(), null, 2), { mode: 0o600 });
  return path;
}
