/** daemon.json: read, checked key by key, and held against the flags. */
import { readFileSync } from "node:fs";
import { parseJson } from "../api/json/parse.ts";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Values } from "./flags.ts";
import { KEY_ALIASES, OPTIONS } from "./options.ts";
import { KINDS, show } from "./values.ts";

const BY_KEY = new Map(OPTIONS.filter((option) => !option.flagOnly).map((option) => [option.key, option]));

/** Both may be given: the flag's entries are added to the file's. */
const MERGED = new Set(["runtimes"]);

/**
 * The file's values by key. A missing file is empty unless `required`. Throws "invalid" with dockerd's words: no JSON, unknown keys,
 * wrong types, options that are set by a flag too.
 */
export function readConfigFile(path: string, required: boolean, flags: Values): Values {
  const fail = (why: string) =>
    new EngineError("invalid", `unable to configure the Docker daemon with file ${path}: ${why}`);
  const text = readText(path, required, fail);
  if (text === undefined || text.trim() === "") return new Map();
  try {
    const values = readValues(parseJson(text));
    refuseConflicts(values, flags);
    return values;
  } catch (error) {
    const { message } = fail(errorMessage(error));
    throw new EngineError("invalid", message, {
      cause: error,
      hint: error instanceof EngineError ? error.hint : undefined,
    });
  }
}

function readText(path: string, required: boolean, fail: (why: string) => EngineError): string | undefined {
  try {
    return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    const missing = errnoOf(error) === "ENOENT";
    if (missing && !required) return undefined;
    throw fail(missing ? `open ${path}: no such file or directory` : errorMessage(error));
  }
}

function readValues(document: unknown): Map<string, unknown> {
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new EngineError("invalid", "json: cannot unmarshal the document into Go value of type config.Config");
  const values = new Map<string, unknown>();
  const unknown: string[] = [];
  for (const [written, value] of Object.entries(document)) {
    const key = KEY_ALIASES[written] ?? written;
    const option = BY_KEY.get(key);
    if (option === undefined) unknown.push(written);
    else if (value !== null) values.set(key, KINDS[option.kind].fromFile(value, key));
  }
  if (unknown.length > 0)
    throw new EngineError(
      "invalid",
      `the following directives don't match any configuration option: ${unknown.join(", ")}`,
      { hint: unknown.map(suggestion).join(" ") },
    );
  return values;
}

/** The key that was meant, as far as letters tell. */
function suggestion(written: string): string {
  const plain = (key: string) =>
    key
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, "")
      .replace(/s$/, "");
  const letters = plain(written);
  const byFlag = OPTIONS.find(({ flag, flagOnly }) => !flagOnly && flag !== undefined && plain(flag) === letters);
  const meant =
    byFlag?.key ?? [...BY_KEY.keys()].find((key) => plain(key) === letters || oneApart(plain(key), letters));
  if (meant !== undefined) return `Did you mean ${JSON.stringify(meant)} instead of ${JSON.stringify(written)}?`;
  return `Take ${JSON.stringify(written)} out; docs/daemon.md has every key.`;
}

/** One letter more, less, other, or two changed about. */
function oneApart(one: string, other: string): boolean {
  if (Math.abs(one.length - other.length) > 1) return false;
  let start = 0;
  while (start < one.length && one[start] === other[start]) start++;
  const rest = (text: string, from: number) => text.slice(start + from);
  return (
    rest(one, 1) === rest(other, 1) ||
    rest(one, 1) === rest(other, 0) ||
    rest(one, 0) === rest(other, 1) ||
    (one[start] === other[start + 1] && one[start + 1] === other[start] && rest(one, 2) === rest(other, 2))
  );
}

function refuseConflicts(values: Values, flags: Values): void {
  const conflicts = [...values.keys()].filter((key) => flags.has(key) && !MERGED.has(key));
  if (conflicts.length === 0) return;
  const shown = conflicts.map(
    (key) => `${key}: (from flag: ${show(flags.get(key))}, from file: ${show(values.get(key))})`,
  );
  throw new EngineError(
    "invalid",
    `the following directives are specified both as a flag and in the configuration file: ${shown.join(", ")}`,
    {
      hint: "Give each in one place: take it out of the file, or the flag out of what starts the daemon (systemctl cat).",
    },
  );
}
