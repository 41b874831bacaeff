/** How calls end: gRPC's codes, and the details that say more than a code and a line. */
import { EngineError, type ErrorKind, errorKind, errorMessage } from "../../base/errors.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import { Status, type StatusPart } from "../wire/status.ts";

const CODES: Readonly<Record<ErrorKind, number>> = {
  cancelled: 1,
  invalid: 3,
  "not-found": 5,
  "not-modified": 9,
  conflict: 9,
  forbidden: 7,
  "too-large": 8,
  "not-implemented": 12,
  internal: 13,
  unavailable: 14,
  unauthorized: 16,
};

const KINDS: Readonly<Record<number, ErrorKind>> = {
  1: "cancelled",
  3: "invalid",
  4: "cancelled",
  5: "not-found",
  6: "conflict",
  7: "forbidden",
  8: "too-large",
  9: "conflict",
  12: "not-implemented",
  14: "unavailable",
  16: "unauthorized",
};

/** gRPC's "unknown": what BuildKit says of a step that failed. */
export const UNKNOWN = 2;

/** An error as it goes over the wire and comes back. */
export class StatusError extends EngineError {
  readonly status: StatusPart;

  constructor(status: StatusPart, cause?: unknown) {
    super(KINDS[status.code ?? UNKNOWN] ?? "internal", status.message ?? "", { cause });
    this.name = "StatusError";
    this.status = status;
  }
}

/** A hint goes below the message: clients show nothing else. */
export function statusOf(error: unknown): StatusPart {
  if (error instanceof StatusError) return error.status;
  const hint = error instanceof EngineError && error.hint !== undefined ? `\n${error.hint}` : "";
  return { code: CODES[errorKind(error)], message: errorMessage(error) + hint };
}

/** Cut to what headers hold: long messages at their end, details that are too long are left out. */
export function trailersOf({ code = 0, message = "", details = [] }: StatusPart): Record<string, string> {
  const trailers: Record<string, string> = { "grpc-status": String(code) };
  const short = message.slice(0, MAX_MESSAGE).trim();
  if (short !== "") trailers["grpc-message"] = percentEncoded(short);
  const detailed = details.length > 0 ? encode(Status, { code, message: short, details }) : Buffer.alloc(0);
  if (detailed.length > 0 && detailed.length <= MAX_DETAILS)
    trailers["grpc-status-details-bin"] = detailed.toString("base64").replace(/=+$/, "");
  return trailers;
}

/** Undefined for a call that succeeded. */
export function errorOf(headers: Readonly<Record<string, unknown>>): StatusError | undefined {
  const code = Number(headers["grpc-status"]);
  if (code === 0) return undefined;
  const bin = headers["grpc-status-details-bin"];
  const details = typeof bin === "string" ? decode(Status, Buffer.from(bin, "base64")).details : [];
  const text = String(headers["grpc-message"] ?? "");
  const message = percentDecoded(text) || `the client ended a call with status ${String(headers["grpc-status"])}`;
  return new StatusError({ code: Number.isInteger(code) ? code : UNKNOWN, message, details });
}

/** Characters, bytes: a stream's headers have 64 KiB in all, and of a character up to nine. */
const MAX_MESSAGE = 3000;
const MAX_DETAILS = 24 << 10;

const percentEncoded = (text: string): string =>
  [...Buffer.from(text)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");

function percentDecoded(text: string): string {
  const bytes = Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
  return bytes.toString();
}
