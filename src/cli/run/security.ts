/** `--security-opt`: the daemon gets a seccomp profile's text, not its path. */
import { readFileSync } from "node:fs";
import type { HostConfig } from "../../api/types/container.ts";
import { errnoOf } from "../../base/errors.ts";

export function securityOptions(words: readonly string[]): HostConfig {
  const open = words.some((word) => /^systempaths[=:]unconfined$/.test(word));
  const options = words.filter((word) => !/^systempaths[=:]unconfined$/.test(word)).map(securityOption);
  return {
    ...(options.length === 0 ? {} : { SecurityOpt: options }),
    ...(open ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
  };
}

function securityOption(word: string): string {
  const separator = word.search(/[=:]/);
  if (separator < 0) {
    if (word === "no-new-privileges") return word;
    throw new Error(`Invalid --security-opt: ${JSON.stringify(word)}`);
  }
  const [key, value] = [word.slice(0, separator), word.slice(separator + 1)];
  if (key !== "seccomp" || value === "unconfined" || value === "builtin") return word;
  return `seccomp=${JSON.stringify(JSON.parse(readProfile(value)))}`;
}

function readProfile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const why = errnoOf(error) === "ENOENT" ? "no such file or directory" : (error as Error).message;
    throw new Error(`opening seccomp profile (${path}) failed: open ${path}: ${why}`, { cause: error });
  }
}
