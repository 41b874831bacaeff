import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
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

test("installed as a package elsewhere, the example compiles and runs, and so do the programs", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-package-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(import.meta.dirname, "..");
  const modules = join(folder, "node_modules");
  const own = join(modules, "gantry");
  const bin = join(root, "node_modules", ".bin");
  const run = (file: string, ...args: string[]) => {
    const env = { PATH: `${bin}:${process.env.PATH}`, HOME: folder };
    const { stdout, stderr, status } = spawnSync(file, args, { encoding: "utf8", cwd: folder, env, timeout: 120_000 });
    assert.equal(status, 0, `${file} ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  run(process.execPath, join(root, "scripts", "package.ts"), folder);
  // As npm does, but for the network.
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  mkdirSync(own, { recursive: true });
  run("tar", "-xzf", join(folder, `gantry-${version}.tgz`), "-C", own, "--strip-components=1");
  const { dependencies, optionalDependencies, scripts } = JSON.parse(readFileSync(join(own, "package.json"), "utf8"));
  for (const name of [".bin", "@types", ...Object.keys({ ...dependencies, ...optionalDependencies })])
    if (existsSync(join(root, "node_modules", name)))
      symlinkSync(join(root, "node_modules", name), join(modules, name));
  const headers = /-isystem (\S+)/.exec(run("make", "-n", "-B", "-C", join(own, "native")))?.[1] ?? "";
  assert.ok(existsSync(join(own, "native", headers, "node_api.h")), headers);
  cpSync(join(root, "native", "build"), join(own, "native", "build"), { recursive: true });
  run("sh", "-c", `cd node_modules/gantry && ${scripts.install}`);

  copyFileSync(example, join(folder, "program.mts"));
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "esnext", "--types", "node"];
  run("tsc", ...options, "program.mts");
  const archive = join(folder, "busybox.tar");
  await makeBusyboxArchive(archive);
  assert.match(
    run("node", "program.mts", archive, join(folder, "root")),
    /^Loaded image: .*\nhello from inside\nexit code 3\n$/,
  );
  assert.match(run(join(own, "bin", "gantry"), "--version"), new RegExp(version));
  assert.match(run(join(own, "bin", "gantryd"), "--version"), new RegExp(version));
  const hashed = run("sh", "-c", `echo secret | ${own}/bin/gantry registry htpasswd --password-stdin --cost 4 ann`);
  assert.match(hashed, /^ann:\$2/);
});
