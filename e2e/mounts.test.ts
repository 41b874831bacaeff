/** Mounts of every kind, with the real docker CLI and with gantry. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { mount, unmount } from "../src/kernel/mounts.ts";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli, daemon) => {
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

  test("mounts come through as the propagation says, and not where they cannot", async () => {
    const [folder, other] = [join(daemon.folder, "shared"), join(daemon.folder, "other")];
    for (const path of [folder, other]) {
      mkdirSync(join(path, "late"), { recursive: true });
      mount({ source: path, target: path, flags: ["bind"] });
    }
    mount({ target: folder, flags: ["shared"] });
    mount({ target: other, flags: ["private"] });
    try {
      const modes = ["rslave", "rprivate"] as const;
      for (const mode of modes)
        await cli.ok("run", "-d", "--name", mode, "-v", `${folder}:/x:${mode}`, "busybox", "sleep", "600");
      mount({ source: "tmpfs", target: join(folder, "late"), type: "tmpfs" });
      const sees = (container: string) =>
        cli.ok("exec", container, "sh", "-c", "grep -c ' /x/late ' /proc/mounts || true");
      assert.deepEqual(await Promise.all(modes.map(sees)), ["1", "0"]);
      unmount(join(folder, "late"));
      const inner = "mount -t tmpfs inner /x/late";
      await cli.ok("run", "--rm", "--privileged", "-v", `${folder}:/x:rshared`, "busybox", "sh", "-c", inner);
      unmount(join(folder, "late"));
      for (const [mode, what] of [
        ["shared", "shared"],
        ["slave", "shared or slave"],
      ]) {
        const { code, err } = await cli.run("run", "--rm", "-v", `${other}:/x:${mode}`, "busybox", "true");
        assert.deepEqual(
          [code, err.includes(`path ${other} is mounted on ${other} but it is not a ${what} mount`)],
          [125, true],
          err,
        );
      }
      await cli.ok("rm", "-f", ...modes);
    } finally {
      for (const path of [folder, other]) unmount(path, { detach: true });
    }
  });

  test("flags of SELinux and of other systems are accepted", async () => {
    const folder = join(daemon.folder, "labelled");
    mkdirSync(folder);
    const modes = ["z", "Z", "ro,Z", "rw,z", "cached", "delegated", "consistent"];
    const binds = modes.flatMap((mode, index) => ["-v", `${folder}:/x${index}:${mode}`]);
    await cli.ok("run", "--rm", ...binds, "-v", "labelled:/v:z", "busybox", "true");
    await cli.ok("volume", "rm", "labelled");
  });

  test("a volume gets content, owner and mode of what the image has there, unless it is not to", async () => {
    await cli.ok(
      "run",
      "--name",
      "seed",
      "busybox",
      "sh",
      "-c",
      "mkdir -p /seed/in; echo hi > /seed/in/f; chown -R 7:8 /seed; chmod 2750 /seed; chmod 4711 /seed/in/f",
    );
    await cli.ok("commit", "--change", "VOLUME /seed", "seed", "seeded");
    await cli.ok("rm", "seed");
    const look = "stat -c '%u:%g %a' /seed /seed/in/f; cat /seed/in/f";
    const whole = "7:8 2750\n7:8 4711\nhi";
    const show = (...words: string[]) => cli.ok("run", "--rm", ...words, "seeded", "sh", "-c", look);
    assert.equal(await show(), whole);
    assert.equal(await show("-v", "copied:/seed"), whole);
    assert.equal(await show("--mount", "type=volume,source=again,target=/seed"), whole);
    for (const [index, word] of [
      ["-v", "bare0:/seed:nocopy"],
      ["--mount", "type=volume,source=bare1,target=/seed,volume-nocopy=true"],
    ].entries())
      assert.equal(await cli.ok("run", "--rm", ...word, "seeded", "sh", "-c", "ls -A /seed | wc -l"), "0", `${index}`);
    await cli.ok("volume", "rm", "again", "bare0", "bare1", "copied");
  });

  test("--mount makes volumes with a driver, options and labels; what makes no sense is refused in Docker's words", async () => {
    const options =
      'volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=1m,uid=9",volume-label=of=test';
    const made = await run([`type=volume,source=ram,target=/x,${options}`], "stat -c %u /x; df -k /x | tail -1");
    assert.match(made.out, /^9\ntmpfs +1024 /);
    assert.equal(await cli.ok("volume", "inspect", "-f", "{{.Labels.of}} {{.Options.type}}", "ram"), "test tmpfs");
    await cli.ok("volume", "rm", "ram");
    const tmpfs = await run(
      ["type=tmpfs,target=/x,tmpfs-size=2m,tmpfs-mode=0700,readonly"],
      "grep ' /x ' /proc/mounts",
    );
    assert.match(tmpfs.out, /^tmpfs \/x tmpfs ro,.*size=2048k,mode=700/);
    const wrong: readonly (readonly [words: readonly string[], said: RegExp])[] = [
      [["--mount", "type=wish,target=/x"], /invalid mount config for type "wish": mount type unknown/],
      [["--mount", "type=bind,source=/tmp,target=/x", "-v", "/tmp:/x"], /Duplicate mount point: \/x/],
      [
        ["--mount", "type=bind,source=/tmp,target=/x,volume-nocopy=true"],
        /cannot mix 'volume-\*' options with mount type 'bind'/,
      ],
      [["--mount", "type=volume,source=v1,target=rel"], /invalid mount path: 'rel' mount path must be absolute/],
      [["--mount", "type=volume,source=v1"], /target is required/],
      [["-v", "a/b:/x"], /"a\/b" includes invalid characters for a local volume name/],
      [["-v", "vv:/x:odd"], /invalid mode: odd/],
      [["-v", "/tmp:/"], /invalid specification: destination can't be '\/'/],
      [["--volumes-from", "nobody"], /No such container: nobody/],
      [["--mount", "type=volume,source=v9,target=/x,volume-driver=nosuch"], /plugin "nosuch" not found/],
      [["--volume-driver", "nosuch", "-v", "v9:/x"], /plugin "nosuch" not found/],
      [["--volumes-from", "nobody:odd"], /invalid mode: odd/],
    ];
    for (const [words, said] of wrong) {
      const { code, err } = await cli.run("run", "--rm", ...words, "busybox", "true");
      assert.deepEqual([code, said.test(err)], [125, true], `${words.join(" ")}: ${err}`);
      assert.doesNotMatch(err, /Unable to find image/);
    }
  });
});
