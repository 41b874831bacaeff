import { EngineError, errnoOf, errorMessage } from "./errors.ts";

const FULL = new Set(["ENOSPC", "EDQUOT"]);

const IN_DATA_ROOT = "free some space in the data root, for example with: gantry system prune";

/** A full disk (or quota) as "unavailable", saying what was being written; every other error as it is. The hint is for the data root's disk. */
export function explainDiskFull(error: unknown, what: string, hint = IN_DATA_ROOT): unknown {
  if (!FULL.has(errnoOf(error) ?? "")) return error;
  const reason = errnoOf(error) === "EDQUOT" ? "disk quota exceeded" : "no space left on device";
  return new EngineError("unavailable", `${what}: ${reason}`, {
    hint,
    cause: new Error(errorMessage(error)),
  });
}
