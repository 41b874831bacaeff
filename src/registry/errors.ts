/** The specification's error codes, each with its status. */
import { EngineError, type ErrorKind } from "../base/errors.ts";

interface Row {
  readonly status: number;
  readonly kind: ErrorKind;
}

const CODES = {
  BLOB_UNKNOWN: { status: 404, kind: "not-found" },
  BLOB_UPLOAD_INVALID: { status: 400, kind: "invalid" },
  BLOB_UPLOAD_UNKNOWN: { status: 404, kind: "not-found" },
  DIGEST_INVALID: { status: 400, kind: "invalid" },
  MANIFEST_BLOB_UNKNOWN: { status: 400, kind: "invalid" },
  MANIFEST_INVALID: { status: 400, kind: "invalid" },
  MANIFEST_UNKNOWN: { status: 404, kind: "not-found" },
  NAME_INVALID: { status: 400, kind: "invalid" },
  NAME_UNKNOWN: { status: 404, kind: "not-found" },
  SIZE_INVALID: { status: 400, kind: "invalid" },
  UNAUTHORIZED: { status: 401, kind: "unauthorized" },
  DENIED: { status: 403, kind: "forbidden" },
  UNSUPPORTED: { status: 405, kind: "not-implemented" },
  TOOMANYREQUESTS: { status: 429, kind: "unavailable" },
  // Not of the specification, whose codes are those of 4XX answers; the words are the ones Docker's registry uses.
  UNAVAILABLE: { status: 503, kind: "unavailable" },
  UNKNOWN: { status: 500, kind: "internal" },
} as const satisfies Readonly<Record<string, Row>>;

export type ErrorCode = keyof typeof CODES;

export interface Refusal {
  /** Where it is not the code's own. */
  readonly status?: number | undefined;
  readonly detail?: unknown;
  readonly hint?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly cause?: unknown;
}

/** An error that becomes an answer as the specification wants it. */
export class RegistryError extends EngineError {
  readonly code: ErrorCode;
  readonly status: number;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, { status, detail, hint, headers = {}, cause }: Refusal = {}) {
    super(CODES[code].kind, message, { hint, cause });
    this.name = "RegistryError";
    this.code = code;
    this.status = status ?? CODES[code].status;
    this.detail = detail;
    this.headers = headers;
  }
}
