import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../kernel/spawn.ts";
import { skip } from "./networks.fixture.ts";

/** What changes a whole host is tried in namespaces of its own, of network and mounts: forwarding, other firewalls and their files, reloads. */
test("on a host of its own, with firewalls of others", { skip }, async () => {
  const scenarios = join(import.meta.dirname, "apart.fixture.ts");
  const command = ["--net", "--mount", "--", process.execPath, "--test", "--test-isolation=none", scenarios];
  const { code, stdout, stderr } = await run("unshare", command, { timeoutMs: 180_000 });
  assert.equal(code, 0, `${stdout}${stderr}`);
});
