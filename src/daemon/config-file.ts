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
    throw fail(errorMessage(error));
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
    );
  return values;
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
  );
}
