/** Trying again: when it makes sense, and after how long. */
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError, errnoOf } from "../base/errors.ts";
import { RegistryError } from "./registry-error.ts";

const TRANSIENT_STATUSES = new Set([408, 429, 500, 502, 503, 504]);
const TRANSIENT_CODES = new Set([
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EAI_AGAIN",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
]);
/** What ends soon too when the registry was there a moment ago: it is being started again. */
const AWAY_CODES = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN"]);

/** Milliseconds. */
const FIRST_DELAY = 250;
const LONGEST_DELAY = 20_000;

/** Whether the same request may succeed later. `reached`: the registry answered before. */
export function isTransient(error: unknown, reached: boolean): boolean {
  if (error instanceof RegistryError) return TRANSIENT_STATUSES.has(error.status);
  const cause = error instanceof EngineError ? error.cause : error;
  const code = errnoOf(cause) ?? errnoOf((cause as { cause?: unknown } | undefined)?.cause) ?? "";
  return TRANSIENT_CODES.has(code) || (reached && AWAY_CODES.has(code));
}

/** What the registry asks for, else longer each time, spread so that many clients do not come at once. Milliseconds. */
export function delayBefore(attempt: number, error: unknown, random = Math.random()): number {
  const asked = error instanceof RegistryError ? error.retryAfter : undefined;
  return asked ?? Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt) * (0.5 + random / 2);
}

/** Rejects with "cancelled" when the signal comes first. */
export async function pause(delay: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delay, undefined, { ...(signal !== undefined && { signal }) });
  } catch (error) {
    throw new EngineError("cancelled", "request cancelled", { cause: error });
  }
}

/** Tries `work` up to `attempts` times while it fails for reasons that pass. */
export async function retrying<T>(
  work: () => Promise<T>,
  { attempts, signal }: { readonly attempts: number; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt + 1 >= attempts || !isTransient(error, false)) throw error;
      await pause(delayBefore(attempt, error), signal);
    }
  }
}
