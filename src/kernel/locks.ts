import { closeSync, openSync } from "node:fs";
import { native } from "./native.ts";

/** Takes the exclusive flock(2) of a file (made if missing); undefined when another process has it. A process's end lets go of it. */
export function lockFile(path: string): { release(): void } | undefined {
  const fd = openSync(path, "a", 0o600);
  if (!native.tryLock(fd)) {
    closeSync(fd);
    return undefined;
  }
  return { release: () => closeSync(fd) };
}
