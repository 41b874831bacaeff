import { EngineError, errnoOf, errorMessage } from "./errors.ts";

const FULL = new Set(["ENOSPC", "EDQUOT"]);

/** A full disk (or quota) as "unavailable", saying what was being written; every other error as it is. */
export function explainDiskFull(error: unknown, what: string): unknown {
  if (!FULL.has(errnoOf(error) ?? "")) return error;
  const reason = errnoOf(error) === "EDQUOT" ? "disk quota exceeded" : "no space left on device";
  return new EngineError("unavailable", `${what}: ${reason}`, {
    hint: "free some space in the data root, for example with: gantry system prune",
    cause: new Error(errorMessage(error)),
  });
}
