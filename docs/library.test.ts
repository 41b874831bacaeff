import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeBusyboxArchive } from "../scripts/base-image.ts";

const example = join(import.meta.dirname, "examples", "library.ts");

test("the page shows the example as it is", () => {
  const page = readFileSync(join(import.meta.dirname, "library.md"), "utf8");
  assert.ok(page.includes(`\`\`\`ts\n${readFileSync(example, "utf8")}\`\`\``));
});

test("the example runs a container in this process", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-library-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const archive = join(folder, "busybox.tar");
  await makeBusyboxArchive(archive);
  const { stdout, stderr, status } = spawnSync(process.execPath, [example, archive, join(folder, "root")], {
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(stderr, "");
  assert.equal(status, 0);
  assert.match(stdout, /^Loaded image: busybox:latest\nhello from inside\nexit code 3\n$/);
});
