/** How a thrown value becomes an answer: kinds to statuses in one table, and who sees the hint. */
import { randomBytes } from "node:crypto";
import { EngineError, type ErrorKind, errnoOf, errorKind, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

const STATUS: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  "not-found": 404,
  "not-modified": 304,
  conflict: 409,
  "too-large": 413,
  cancelled: 499,
  "not-implemented": 501,
  unavailable: 503,
  internal: 500,
};

export interface ErrorBody {
  readonly message: string;
  readonly hint?: string;
}

export interface Failure {
  readonly status: number;
  readonly body: ErrorBody;
}

/**
 * The answer to a failed request. What is not an EngineError nor an error of the system is a bug: it is logged with its
 * stack under an id that the client is told.
 *
 * The hint is a field of its own, because programs compare `message`; a person at the docker CLI is shown only
 * `message`, so for that client the hint is appended on a line of its own.
 */
export function failureOf(error: unknown, userAgent: string | undefined, logger: Logger): Failure {
  // Names come from requests; the system is the one to say how long they may be.
  if (errnoOf(error) === "ENAMETOOLONG") return { status: STATUS.invalid, body: { message: "file name too long" } };
  const status = STATUS[errorKind(error)];
  if (!(error instanceof EngineError)) return { status, body: { message: describeUnexpected(error, logger) } };
  const { message, hint } = error;
  if (status >= 500) logger.log(status === 500 ? "error" : "debug", message, { cause: causeOf(error) });
  if (hint === undefined) return { status, body: { message } };
  return { status, body: { message: readByPerson(userAgent) ? `${message}\n${hint}` : message, hint } };
}

const readByPerson = (userAgent: string | undefined): boolean => userAgent?.startsWith("Docker-Client/") ?? false;

const causeOf = (error: EngineError): string | undefined =>
  error.cause === undefined ? undefined : errorMessage(error.cause);

function describeUnexpected(error: unknown, logger: Logger): string {
  if (errorKind(error) === "cancelled") return "request cancelled";
  const id = randomBytes(4).toString("hex");
  logger.log("error", "unexpected error while answering a request", {
    id,
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  return errnoOf(error) === undefined
    ? `unexpected error: ${errorMessage(error)} (see ${id} in the daemon's log)`
    : errorMessage(error);
}
