/** The PID file: says who runs, and refuses a second daemon with the same one. */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { EngineError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";

/** Throws "conflict" with Docker's words when the process it names is alive. The result removes the file. */
export function takePidfile(path: string): () => void {
  const other = readPid(path);
  if (other !== undefined && other !== process.pid && existsSync(`/proc/${other}`))
    throw new EngineError(
      "conflict",
      `failed to start daemon, ensure docker is not running or delete ${path}: process with PID ${other} is still running`,
    );
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileAtomic(path, String(process.pid));
  return () => {
    if (readPid(path) === process.pid) rmSync(path, { force: true });
  };
}

function readPid(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, "utf8").trim();
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
}
