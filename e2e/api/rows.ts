/** The rows of docs/api.md: what works comes with what shows it, the rest with a reason. */
import assert from "node:assert/strict";
import type { CgroupFeatures } from "../../src/kernel/cgroups.ts";
import type { Request, Try } from "./try.ts";

export interface Row {
  /** A field, or an operation's method and path. */
  readonly name: string;
  /** Shows that it works, on a real daemon; undefined: it does not. */
  readonly check?: ((at: Try) => Promise<void>) | undefined;
  /** In one line: why it does not work, or what there is to know. */
  readonly note?: string | undefined;
  /** What this kernel must have for the check. */
  readonly needs?: ((features: CgroupFeatures) => boolean) | undefined;
}

/** A script in the container shows it. */
export function shown(name: string, request: Request | ((at: Try) => Request), script: string, pattern: RegExp): Row {
  return {
    name,
    check: async (at) => {
      const { text } = await at.run(typeof request === "function" ? request(at) : request, script);
      assert.match(text, pattern);
    },
  };
}

export function tried(name: string, check: (at: Try) => Promise<void>, note?: string): Row {
  return { name, check, note };
}

/** For clients: `inspect` gives it back, and as with Docker nothing else depends on it. */
export function kept(name: string, part: "Config" | "HostConfig", value: unknown): Row {
  return tried(
    name,
    async (at) => {
      const request = part === "Config" ? { [name]: value } : { HostConfig: { [name]: value } };
      const inspected = await at.inspect(await at.create(request));
      assert.deepEqual((inspected[part] as Record<string, unknown>)[name], value);
    },
    "kept for clients, as with Docker",
  );
}

export function missing(name: string, note: string): Row {
  return { name, note };
}

export function needing(needs: NonNullable<Row["needs"]>, note: string, row: Row): Row {
  return { ...row, needs, note };
}
