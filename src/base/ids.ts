import { randomBytes } from "node:crypto";

/** A new object id: 64 lower-case hex digits whose first 12 are never all decimal (as Docker's, so that a short id is no number). */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString("hex");
    if (!/^\d{12}/.test(id)) return id;
  }
}

/** The 12 digits that people see. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
