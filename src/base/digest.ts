import { createHash } from "node:crypto";
import { EngineError } from "./errors.ts";

/** "sha256:<64 hex>" or "sha512:<128 hex>". */
export type Digest = string;

const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): boolean {
  return PATTERN.test(text);
}

/** Throws "invalid" when the text is no digest that we can verify. */
export function parseDigest(text: string): { algorithm: "sha256" | "sha512"; hex: string } {
  if (!isDigest(text)) throw new EngineError("invalid", `invalid digest format: ${JSON.stringify(text.slice(0, 200))}`);
  const [algorithm, hex] = text.split(":") as ["sha256" | "sha512", string];
  return { algorithm, hex };
}

/** The sha256 digest of a value held in memory. */
export function digestOf(data: string | Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}
