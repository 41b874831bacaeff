/** Mounts of every kind, with the real docker CLI and with gantry. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { mount, unmount } from "../src/kernel/mounts.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";

for (const name of ["docker", "gantry"] satisfies CliName[]) describe(name, { skip: missing(name) }, () => suite(name));

function suite(name: CliName): void {
  let daemon: TestDaemon;
  let cli: Cli;
  before(async () => {
    daemon = await startDaemon();
    cli = new Cli(name, daemon);
  });
  after(() => daemon[Symbol.asyncDispose]());

  const run = (mounts: readonly string[], script: string) =>
    cli.run(
      "run",
      "--rm",
      "--network",
      "none",
      ...mounts.flatMap((text) => ["--mount", text]),
      "busybox",
      "sh",
      "-c",
      script,
    );

  test("an image is mounted read-only, whole or a part of it, also after a restart of the daemon", async () => {
    await cli.ok("tag", "busybox", "tools");
    const whole = await run(
      ["type=image,source=tools,target=/tools"],
      "/tools/bin/busybox echo from inside; touch /tools/x",
    );
    assert.deepEqual([whole.code, whole.out], [1, "from inside"]);
    assert.match(whole.err, /Read-only file system/);
    const part = await run(["type=image,source=tools,target=/b,image-subpath=bin"], "/b/busybox echo part");
    assert.deepEqual([part.code, part.out], [0, "part"], part.err);
    await cli.ok(
      "run",
      "-d",
      "--name",
      "user",
      "--mount",
      "type=image,source=tools,target=/tools",
      "busybox",
      "sleep",
      "600",
    );
    assert.equal(
      await cli.ok("inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}}{{end}}", "user"),
      "image /tools false",
    );
    await daemon.kill("SIGKILL");
    await daemon.start();
    assert.equal(await cli.ok("exec", "user", "/tools/bin/busybox", "echo", "still"), "still");
    await cli.ok("restart", "-t", "0", "user");
    assert.equal(await cli.ok("exec", "user", "/tools/bin/busybox", "echo", "again"), "again");
    await cli.ok("rm", "-f", "user");
    const wrong = await run(["type=image,source=nosuch,target=/x"], "true");
    assert.deepEqual([wrong.code, /No such image: nosuch[\s\S]*pull it first/.test(wrong.err)], [125, true], wrong.err);
    const outside = await run(["type=image,source=tools,target=/x,image-subpath=../../etc"], "true");
    assert.equal(outside.code, 125);
  });

  test("what is mounted below a read-only bind is read-only too, unless told otherwise", async () => {
    const folder = join(daemon.folder, "bound");
    mkdirSync(join(folder, "below"), { recursive: true });
    mount({ source: "tmpfs", target: join(folder, "below"), type: "tmpfs" });
    try {
      const bind = `type=bind,source=${folder},target=/b,readonly`;
      const try_ = "touch /b/x 2>/dev/null && echo top; touch /b/below/x 2>/dev/null && echo below; true";
      assert.deepEqual((await run([bind], try_)).out, "");
      assert.deepEqual((await run([`${bind},bind-recursive=writable`], try_)).out, "below");
      assert.deepEqual((await run([`${bind},bind-recursive=readonly`], try_)).out, "");
      const flat = await run([`${bind},bind-recursive=disabled`], "ls -A /b/below | wc -l");
      assert.equal(flat.out, "0");
      const short = await cli.run("run", "--rm", "-v", `${folder}:/b:ro`, "busybox", "sh", "-c", try_);
      assert.equal(short.out, "");
    } finally {
      unmount(join(folder, "below"));
    }
  });

  test("a missing source is made for -v and refused for --mount, as Docker does", async () => {
    const missingFolder = join(daemon.folder, "not-there");
    const refused = await run([`type=bind,source=${missingFolder},target=/b`], "true");
    assert.equal(refused.code, 125);
    assert.match(refused.err, /bind source path does not exist: /);
    assert.equal((await cli.run("run", "--rm", "-v", `${missingFolder}:/b`, "busybox", "ls", "-A", "/b")).out, "");
  });

  test("a part of a volume, a tmpfs with size and mode, and another container's volumes", async () => {
    await cli.ok("volume", "create", "parts");
    await cli.ok("run", "--rm", "-v", "parts:/v", "busybox", "sh", "-c", "mkdir -p /v/a/b; echo deep > /v/a/b/c");
    assert.equal((await run(["type=volume,source=parts,target=/p,volume-subpath=a/b"], "cat /p/c")).out, "deep");
    const tmpfs = await run(
      ["type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770"],
      "stat -c %a /t; df -k /t | tail -1",
    );
    assert.match(tmpfs.out, /^1770\ntmpfs +1024 /);
    await cli.ok("create", "--name", "owner", "-v", "parts:/shared", "busybox");
    assert.equal(await cli.ok("run", "--rm", "--volumes-from", "owner:ro", "busybox", "cat", "/shared/a/b/c"), "deep");
    writeFileSync(join(daemon.folder, "file"), "one file");
    assert.equal(
      (await run([`type=bind,source=${join(daemon.folder, "file")},target=/etc/one`], "cat /etc/one")).out,
      "one file",
    );
    await cli.ok("rm", "owner");
  });
}
