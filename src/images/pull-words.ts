/** What a pull says went wrong, in Docker's words. */
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { familiarName, familiarRepository, type Reference } from "../oci/reference.ts";
import type { Credentials } from "../remote/remote.ts";

/** Docker's texts for what a registry refuses. */
export function explainPull(error: unknown, reference: Reference, credentials: Credentials | undefined): unknown {
  const kind = errorKind(error);
  const text = errorMessage(error);
  const hint = error instanceof EngineError ? error.hint : undefined;
  if (kind === "not-found" && /^manifest unknown/.test(text))
    return new EngineError("not-found", `manifest for ${familiarName(reference)} not found: ${text}`, {
      hint,
      cause: error,
    });
  if ((kind === "forbidden" && /^denied/.test(text)) || (kind === "unauthorized" && credentials === undefined))
    return new EngineError(
      "not-found",
      `pull access denied for ${familiarRepository(reference)}, repository does not exist or may require 'docker login': ${text}`,
      { cause: error },
    );
  return error;
}
