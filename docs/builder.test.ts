import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeBusyboxArchive } from "../scripts/base-image.ts";

const example = join(import.meta.dirname, "examples", "builder.ts");

test("the page shows the example as it is", () => {
  const page = readFileSync(join(import.meta.dirname, "builder.md"), "utf8");
  assert.ok(page.includes(`\`\`\`ts\n${readFileSync(example, "utf8")}\`\`\``));
});

test("the example builds an image, and finds its steps when it runs again", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-program-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const archive = join(folder, "busybox.tar");
  await makeBusyboxArchive(archive);
  for (const name of ["one", "two"]) writeFileSync(join(folder, `${name}.txt`), `${name}\n`);
  const run = () => {
    const args = [example, archive, join(folder, "root"), folder];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 100_000 });
    assert.equal(stderr, "");
    assert.equal(status, 0);
    return stdout.split("\n").filter(Boolean).sort();
  };
  const line = (word: string, name: string) => `${word} RUN tr a-z A-Z < ${name}.txt > page && date >> /cache/builds`;
  const last = "{ made: 'by a program' } 2 layers";
  assert.deepEqual(run(), [line("ran", "one"), line("ran", "two"), last]);
  assert.deepEqual(run(), [line("cached", "one"), line("cached", "two"), last]);
});
