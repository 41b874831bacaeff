import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { silentLogger } from "../base/log.ts";
import type { CgroupTree } from "../kernel/cgroups.ts";
import { detectRuntimes, selectRuntime } from "./detect.ts";

const cgroups = { hybrid: true } as CgroupTree;

/** A folder with programs that print a version and no more. */
function folder(t: TestContext, programs: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), "detect-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(path, name), 0o755);
  }
  return path;
}

const CRUN = "echo crun version 1.8.1; echo +SYSTEMD +SECCOMP +YAJL";
const RUNC = "echo runc version 1.1.5+ds1; echo libseccomp: 2.5.4";

function detect(searchPath: string, more: Partial<Parameters<typeof detectRuntimes>[0]> = {}) {
  return detectRuntimes({ configured: {}, preferred: undefined, cgroups, logger: silentLogger, searchPath, ...more });
}

describe("looking for runtimes", () => {
  it("prefers crun, and knows what each needs and takes", async (t) => {
    const [crun, runc] = await detect(folder(t, { runc: RUNC, crun: CRUN }));
    assert.deepEqual([crun?.name, crun?.version, crun?.hideUnified, crun?.takesBpf], ["crun", "1.8.1", true, true]);
    assert.deepEqual(
      [runc?.name, runc?.version, runc?.hideUnified, runc?.takesBpf],
      ["runc", "1.1.5+ds1", false, false],
    );
  });

  it("puts the configured default first", async (t) => {
    const found = await detect(folder(t, { runc: RUNC, crun: CRUN }), { preferred: "runc" });
    assert.deepEqual(
      found.map(({ name }) => name),
      ["runc", "crun"],
    );
  });

  it("takes configured ones with their arguments, and leaves out what is broken or missing", async (t) => {
    const path = folder(t, { crun: "exit 1", mine: "echo mine 7" });
    const configured = { mine: { path: join(path, "mine"), runtimeArgs: ["--x"] }, gone: { path: "/none" } };
    const found = await detect(path, { configured });
    assert.deepEqual(
      found.map(({ name, kind, version, arguments: words }) => [name, kind, version, words]),
      [["mine", "other", "mine 7", ["--x"]]],
    );
  });

  it("fails with the packages to install when there is none", async (t) => {
    await assert.rejects(detect(folder(t, {})), { kind: "unavailable", hint: /apt-get install crun/ });
  });

  it("refuses an old crun the finished filter, which it would not know", async (t) => {
    const [crun] = await detect(folder(t, { crun: "echo crun version 0.17; echo +SECCOMP" }));
    assert.equal(crun?.takesBpf, false);
  });

  it("finds by name, by Docker's built-in name, and refuses others with Docker's text", async (t) => {
    const found = await detect(folder(t, { runc: RUNC, crun: CRUN }));
    for (const name of [undefined, "", "crun", "io.containerd.runc.v2"]) {
      assert.equal(selectRuntime(found, name).name, "crun");
    }
    assert.throws(() => selectRuntime(found, "x"), { kind: "invalid", message: "unknown or invalid runtime name: x" });
  });
});
