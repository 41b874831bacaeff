import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { unmountIfMounted } from "./mounts.ts";
import { mountOverlayByOptions } from "./overlay-options.ts";

const skip = process.getuid?.() !== 0 && "needs root";

for (const count of [2, 200]) {
  test(`an overlay of ${count} long names with colons and commas is mounted by options`, { skip }, (t) => {
    const root = mkdtempSync(join(tmpdir(), "overlay-"));
    const at = (name: string) => join(root, name);
    const target = at("merged");
    t.after(() => {
      unmountIfMounted(target);
      rmSync(root, { recursive: true, force: true });
    });
    const lower = Array.from({ length: count }, (_, index) => at(`${index}:,\\${"x".repeat(64)}`));
    for (const folder of [...lower, at("upper"), at("work"), target]) mkdirSync(folder);
    for (const [index, folder] of lower.entries()) {
      writeFileSync(join(folder, `${index}`), "");
      writeFileSync(join(folder, "top"), `${index}`);
    }
    const above = { upper: at("upper"), work: at("work") };
    for (const request of [
      { lower, target, readOnly: true },
      { lower, target, ...above, volatile: true },
    ]) {
      mountOverlayByOptions(request);
      assert.equal(readFileSync(join(target, "top"), "utf8"), "0");
      assert.equal(readFileSync(join(target, `${count - 1}`), "utf8"), "");
      if (!request.readOnly) writeFileSync(join(target, "new"), "");
      else assert.throws(() => writeFileSync(join(target, "new"), ""), { code: "EROFS" });
      unmountIfMounted(target);
    }
    assert.equal(readFileSync(join(at("upper"), "new"), "utf8"), "");
  });
}
