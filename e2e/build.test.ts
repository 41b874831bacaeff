/** The same Dockerfiles built by the docker CLI (its classic builder) and by gantry: the images must be the same. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { buildBases } from "./build/bases.ts";
import { type Case, LANGUAGE, REAL_WORLD } from "./build/dockerfiles.ts";
import { savedImage } from "./build/saved.ts";
import { Cli, missing } from "./lib/cli.ts";

describe("builds", { skip: missing("docker") }, () => {
  let daemon: TestDaemon;
  let docker: Cli;
  let gantry: Cli;
  const folders: string[] = [];

  before(async () => {
    daemon = await startDaemon();
    docker = new Cli("docker", daemon);
    gantry = new Cli("gantry", daemon);
    await buildBases(gantry);
  });
  after(async () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    await daemon[Symbol.asyncDispose]();
  });

  function context({ dockerfile, files = {} }: Case): string {
    const folder = mkdtempSync(join(tmpdir(), "gantry-build-"));
    folders.push(folder);
    for (const [name, content] of Object.entries({ Dockerfile: dockerfile, ...files })) {
      const path = join(folder, name.replace(/!$/, ""));
      mkdirSync(dirname(path), { recursive: true });
      if (content.startsWith("-> ")) symlinkSync(content.slice(3), path);
      else if (name === "pack.tar") packed(path);
      else writeFileSync(path, content, { mode: name.endsWith("!") ? 0o755 : 0o644 });
    }
    return folder;
  }

  for (const one of [...REAL_WORLD, ...LANGUAGE])
    test(one.name, async () => {
      const folder = context(one);
      const flags = ["--no-cache", ...(one.flags ?? [])];
      await docker.ok("build", ...flags, "-t", "by-docker", folder);
      await gantry.ok("build", ...flags, "-t", "by-gantry", folder);
      const [classic, own] = [await savedImage(daemon, "by-docker"), await savedImage(daemon, "by-gantry")];
      assert.deepEqual(own, classic);
      const { config } = classic.config as { config: Record<string, unknown> };
      for (const [name, value] of Object.entries(one.config ?? {})) assert.deepEqual(config[name], value, name);
      if (one.run === undefined) return;
      const [command, output] = one.run;
      const [program = "", ...args] = command;
      const printed = await gantry.ok("run", "--rm", "--entrypoint", program, "by-gantry", ...args);
      assert.equal(words(printed), words(output));
    });
});

/** Lines in any order do not matter: folders are listed as they lie on the disk. */
const words = (text: string): string => text.split(/\s+/).filter(Boolean).sort().join(" ");

function packed(path: string): void {
  const folder = mkdtempSync(join(tmpdir(), "gantry-pack-"));
  mkdirSync(join(folder, "in"));
  writeFileSync(join(folder, "in", "tar"), "packed");
  execFileSync("tar", ["-C", folder, "--mtime=@0", "--owner=0", "--group=0", "-cf", path, "in"]);
  rmSync(folder, { recursive: true });
}
