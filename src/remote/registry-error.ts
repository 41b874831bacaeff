/** What a registry says went wrong, in Docker's words where Docker's clients know them. */
import { EngineError, type ErrorKind } from "../base/errors.ts";
import { type HttpAnswer, readBody } from "./http.ts";

export interface RegistryErrorItem {
  readonly code: string;
  readonly message: string;
}

const MAX_BODY = 64 << 10;

const KINDS: Readonly<Record<number, ErrorKind>> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  405: "not-implemented",
  413: "too-large",
  416: "invalid",
  429: "unavailable",
};

/** What an answer without a body means: one to HEAD never has one. */
const SILENT: Readonly<Record<number, string>> = {
  401: "unauthorized: authentication required",
  403: "denied: requested access to the resource is denied",
};

/** An error that carries the answer's status, for those who try again or elsewhere. */
export class RegistryError extends EngineError {
  readonly status: number;
  readonly codes: readonly string[];
  /** Milliseconds, when the registry says when to come again. */
  readonly retryAfter: number | undefined;

  constructor(
    kind: ErrorKind,
    message: string,
    facts: { status: number; codes: readonly string[]; retryAfter: number | undefined },
  ) {
    super(kind, message);
    this.status = facts.status;
    this.codes = facts.codes;
    this.retryAfter = facts.retryAfter;
  }
}

/** Reads the body. `doing`: "pulling x", for answers that say nothing themselves. */
export async function registryError(answer: HttpAnswer, doing: string): Promise<RegistryError> {
  const items = await itemsOf(answer);
  const { status, headers, url } = answer;
  const text = items.map(({ code, message }) => `${code.toLowerCase().replaceAll("_", " ")}: ${message}`).join("\n");
  const silent = SILENT[status] ?? `${doing}: ${url.host} answered with status ${status}${kindOfPage(headers)}`;
  const message = text === "" ? silent : text;
  const kind = KINDS[status] ?? (status >= 500 ? "unavailable" : "invalid");
  const retryAfter = parseRetryAfter(headers["retry-after"]);
  return new RegistryError(kind, message, { status, codes: items.map(({ code }) => code), retryAfter });
}

function kindOfPage(headers: HttpAnswer["headers"]): string {
  return headers["content-type"]?.startsWith("text/html") === true ? " and a web page: is it a registry?" : "";
}

async function itemsOf(answer: HttpAnswer): Promise<RegistryErrorItem[]> {
  try {
    const json: unknown = JSON.parse((await readBody(answer, MAX_BODY, "the error")).toString());
    const { errors } = json as { errors?: unknown };
    return Array.isArray(errors) ? errors.slice(0, 10).map(readItem) : [];
  } catch {
    return [];
  }
}

function readItem(item: unknown): RegistryErrorItem {
  const { code, message } = (item ?? {}) as Record<string, unknown>;
  const clean = (value: unknown, most: number) =>
    typeof value === "string" ? value.replace(/[\x00-\x1f\x7f]+/g, " ").slice(0, most) : "";
  const name = clean(code, 100) || "unknown";
  return { code: name, message: clean(message, 1000) || name.toLowerCase().replaceAll("_", " ") };
}

/** Seconds, or a date; as milliseconds from now, at most five minutes. */
export function parseRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  const date = /^[A-Za-z]{3}/.test(header) ? Date.parse(header) : Number.NaN;
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : date - now;
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), 300_000) : undefined;
}
