/**
 * The closed set of error kinds. Each maps once to an HTTP status (api/) and once to an exit code (cli/).
 * Recognise an error by its kind, never by `instanceof` of a subclass or by its text.
 */
export type ErrorKind =
  | "invalid" // the request is wrong: 400
  | "unauthorized" // credentials missing or refused: 401
  | "forbidden" // understood and refused: 403
  | "not-found" // 404
  | "not-modified" // already in the wished state: 304
  | "conflict" // the state forbids it: 409
  | "too-large" // a bound was exceeded: 413
  | "cancelled" // the caller went away or said stop: 499
  | "not-implemented" // known, and not done here: 501
  | "unavailable" // a part is not there now: 503
  | "internal"; // our fault: 500

export interface ErrorDetail {
  /** What to do next, one sentence; printed on a line of its own. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Every error that a caller can cause or must handle. `message` is what Docker's clients see. */
export class EngineError extends Error {
  readonly kind: ErrorKind;
  readonly hint: string | undefined;

  constructor(kind: ErrorKind, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = "EngineError";
    this.kind = kind;
    this.hint = detail.hint;
  }
}

/** The kind of any thrown value; "internal" for what is not an EngineError, "cancelled" for an abort. */
export function errorKind(error: unknown): ErrorKind {
  if (error instanceof EngineError) return error.kind;
  if (error instanceof Error && error.name === "AbortError") return "cancelled";
  return "internal";
}

/** The message of any thrown value. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name of a system error ("ENOENT"), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
