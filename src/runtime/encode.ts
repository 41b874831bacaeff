import type { Process, Spec } from "./spec-types.ts";

/**
 * The text of config.json or process.json, on one line. JavaScript writes 2^64-1 (RLIM_INFINITY) as 18446744073709552000, which
 * overflows in the runtime.
 */
export function encodeSpec(value: Spec | Process): string {
  return JSON.stringify(value).replaceAll(/(?<="(?:hard|soft)":)18446744073709552000(?=[,}])/g, "18446744073709551615");
}
