/** Environment variables and labels, from flags and from files of lines. */
import { readFileSync } from "node:fs";
import { errnoOf } from "../../base/errors.ts";
import type { Environment } from "../context.ts";

/** A name without a value takes the client's; where that has none, nothing is set. Files come first. */
export function readEnvironment(files: readonly string[], words: readonly string[], env: Environment): string[] {
  const fromFiles = files.flatMap((file) => entriesOf(file, "environment", "variable"));
  return [...fromFiles, ...words].flatMap((word) => {
    if (word.includes("=")) return [word];
    const value = env[word];
    return value === undefined ? [] : [`${word}=${value}`];
  });
}

export function readLabels(files: readonly string[], words: readonly string[]): string[] {
  return [...files.flatMap((file) => entriesOf(file, "label", "label")), ...words];
}

/** "a=1", "b" → {a: "1", b: ""}. */
export function keyValues(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const equals = word.indexOf("=");
      return equals < 0 ? [word, ""] : [word.slice(0, equals), word.slice(equals + 1)];
    }),
  );
}

function entriesOf(file: string, what: string, noun: string): string[] {
  const lines = readLines(file).map((line) => line.trimStart());
  const entries = lines.filter((line) => line !== "" && !line.startsWith("#"));
  for (const entry of entries) {
    const name = entry.split("=")[0] ?? "";
    const wrong = /\s/.test(name.trimEnd() === name ? name : `${name} `)
      ? `${noun} '${name}' contains whitespaces`
      : name === ""
        ? `no variable name on line '${entry}'`
        : undefined;
    if (wrong !== undefined) throw new Error(`invalid ${what} file (${file}): ${wrong}`);
  }
  return entries;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8")
      .replace(/^\uFEFF/, "")
      .split(/\r?\n/);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw new Error(`open ${file}: no such file or directory`, { cause: error });
    throw error;
  }
}
