/** Answers. */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { errnoOf, errorKind, errorMessage } from "../../base/errors.ts";
import { RegistryError } from "../errors.ts";

export function sendEmpty(response: ServerResponse, status: number, headers: OutgoingHttpHeaders = {}): void {
  const noBody = status === 204 || status === 304;
  response.writeHead(status, { ...headers, ...(!noBody && { "Content-Length": 0 }) }).end();
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  const body = Buffer.from(JSON.stringify(value));
  const type = "application/json; charset=utf-8";
  response.writeHead(status, { "Content-Type": type, ...headers, "Content-Length": body.length });
  response.end(body);
}

const FULL = new Set(["ENOSPC", "EDQUOT"]);

export function isDiskFull(error: unknown): boolean {
  return FULL.has(errnoOf(error) ?? "");
}

/** The specification's error document. What is no RegistryError is our fault, or the disk's. */
export function toRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  const kind = errorKind(error);
  if (isDiskFull(error))
    return new RegistryError("UNAVAILABLE", "the registry's disk is full", { status: 507, cause: error });
  if (kind === "unavailable") return new RegistryError("UNAVAILABLE", errorMessage(error), { cause: error });
  if (kind === "cancelled")
    return new RegistryError("BLOB_UPLOAD_INVALID", errorMessage(error), { status: 400, cause: error });
  return new RegistryError("UNKNOWN", "internal error", { cause: error });
}

export function sendError(response: ServerResponse, error: RegistryError): void {
  const { code, message, hint, detail } = error;
  const text = hint === undefined ? message : `${message} (${hint})`;
  sendJson(
    response,
    error.status,
    { errors: [{ code, message: text, ...(detail !== undefined && { detail }) }] },
    error.headers,
  );
}
