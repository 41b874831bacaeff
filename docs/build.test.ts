/** What docs/build.md says exists does. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BUILD_PROTOCOL } from "../src/api/types/build.ts";
import { BUILD_FLAGS } from "../src/cli/build/flags.ts";
import { readOutputs } from "../src/cli/build/outputs.ts";
import { command as prune } from "../src/cli/commands/builder-prune.ts";

const page = (name: string) => readFileSync(join(import.meta.dirname, name), "utf8");

test("every flag on the page is one", () => {
  const ofInstructions = ["from", "mount"];
  const known = new Set([...[...BUILD_FLAGS, ...(prune.flags ?? [])].map(({ name }) => name), ...ofInstructions]);
  const named = new Set([...page("build.md").matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)].map((match) => match[1] ?? ""));
  assert.ok(named.size > 15);
  assert.deepEqual(
    [...named].filter((name) => !known.has(name)),
    [],
  );
});

test("every output on the page is understood", () => {
  const words = [...page("build.md").matchAll(/`-o (\S+?)(?: > \S+)?`/g)].map((match) => match[1] ?? "");
  assert.deepEqual(words.length, 5);
  const none = { annotations: [], tags: [], load: false, push: false, platforms: 0 };
  for (const word of words.filter((one) => one !== "-"))
    assert.doesNotThrow(() => readOutputs({ ...none, outputs: [word] }), word);
});

test("the protocol's page is of this version", () => {
  assert.match(page("build-protocol.md"), new RegExp(`both check \`version\` \\(now ${BUILD_PROTOCOL}\\)`));
});
