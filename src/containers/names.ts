import { randomInt } from "node:crypto";
import { EngineError } from "../base/errors.ts";
import { ADJECTIVES, SURNAMES } from "./words.ts";

const PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** The name without its leading "/". Throws "invalid" with Docker's text. */
export function checkName(name: string): string {
  const bare = name.replace(/^\//, "");
  if (!PATTERN.test(bare))
    throw new EngineError("invalid", `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  return bare;
}

export function nameTaken(name: string, owner: string): EngineError {
  return new EngineError(
    "conflict",
    `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
}

/** "brave_hopper"; with a number behind when the easy ones are gone. */
export function inventName(isTaken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const name = `${pick(ADJECTIVES)}_${pick(SURNAMES)}${attempt < 6 ? "" : randomInt(10 ** Math.min(attempt - 4, 9))}`;
    if (!isTaken(name)) return name;
  }
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? "";
}
