/** Files in and out by the real docker CLI and by gantry: cp in all its forms, diff, export. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import type { Cli } from "./lib/cli.ts";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli, daemon) => {
  let folder: string;
  before(async () => {
    folder = join(daemon.folder, "files");
    mkdirSync(join(folder, "tree", "deep"), { recursive: true });
    writeFileSync(join(folder, "tree", "deep", "file"), "deep", { mode: 0o640 });
    writeFileSync(join(folder, "one"), "one");
    symlinkSync("one", join(folder, "link"));
    symlinkSync("deep/file", join(folder, "tree", "inner"));
    chownSync(join(folder, "one"), 1234, 4321);
  });

  const local = (...parts: string[]) => join(folder, ...parts);
  const inside = (container: string, script: string) => cli.ok("exec", "-u", "0", container, "sh", "-c", script);

  for (const state of ["running", "stopped"] as const)
    test(`cp into and out of a container that is ${state}`, async () => {
      const box = `box-${state}`;
      await cli.ok("create", "--name", box, "-v", "kept:/kept", "-u", "77", "busybox", "sleep", "1000");
      if (state === "running") await cli.ok("start", box);
      // A file under another name, into a folder, a folder under another name, its content alone.
      await cli.ok("cp", local("one"), `${box}:/tmp/renamed`);
      await cli.ok("cp", local("one"), `${box}:/kept`);
      await cli.ok("cp", local("tree"), `${box}:/tmp/made`);
      await cli.ok("cp", local("tree"), `${box}:/tmp`);
      await cli.ok("cp", `${local("tree")}/.`, `${box}:/kept`);
      await cli.ok("cp", "-a", local("one"), `${box}:/tmp/owned`);
      await cli.ok("cp", local("link"), `${box}:/tmp/as-link`);
      await cli.ok("cp", "-L", local("link"), `${box}:/tmp/as-file`);
      if (state === "stopped") await cli.ok("start", box);
      const listing = `cat /tmp/renamed /kept/one /tmp/made/deep/file /tmp/tree/inner /kept/deep/file /tmp/as-file
        stat -c '%u:%g %a' /tmp/renamed /tmp/owned /tmp/made/deep/file; readlink /tmp/as-link`;
      assert.equal(
        await inside(box, listing.replaceAll("\n", ";")),
        `oneonedeepdeepdeepone1234:4321 644\n77:0 644\n0:0 640\none`,
      );
      await inside(box, "ln -s made /tmp/to-folder; echo grown >> /tmp/renamed");
      if (state === "stopped") await cli.ok("stop", "-t", "0", box);
      const out = (...parts: string[]) => local(`out-${state}`, ...parts);
      mkdirSync(out());
      await cli.ok("cp", `${box}:/tmp/renamed`, out("file"));
      await cli.ok("cp", `${box}:/tmp/made`, out());
      await cli.ok("cp", `${box}:/kept/.`, out("content"));
      await cli.ok("cp", `${box}:/tmp/to-folder`, out("link"));
      await cli.ok("cp", "-L", `${box}:/tmp/to-folder`, out("followed"));
      assert.equal(readFileSync(out("file"), "utf8"), "onegrown\n");
      assert.equal(readFileSync(out("made", "deep", "file"), "utf8"), "deep");
      assert.equal(statSync(out("made", "deep", "file")).mode & 0o777, 0o640);
      assert.equal(readlinkSync(out("made", "inner")), "deep/file");
      assert.equal(readFileSync(out("content", "one"), "utf8"), "one");
      assert.equal(readlinkSync(out("link")), "made");
      assert.ok(lstatSync(out("followed")).isDirectory());
      // An archive on standard output, and on standard input.
      const archive = await stdout(cli, ["cp", `${box}:/tmp/made`, "-"]);
      const listed = spawnSync("tar", ["t"], { input: archive }).stdout.toString().split("\n").filter(Boolean);
      assert.deepEqual(listed.sort(), ["made/", "made/deep/", "made/deep/file", "made/inner"]);
      assert.equal((await cli.feed(archive, "cp", "-", `${box}:/kept`)).code, 0);
      await cli.ok("cp", `${box}:/kept/made/deep/file`, out("again"));
      assert.equal(readFileSync(out("again"), "utf8"), "deep");
      await cli.ok("rm", "-f", box);
    });

  test("cp refuses what cannot be, and leaves nothing half done", async () => {
    await cli.ok("create", "--name", "ro", "--read-only", "-v", "held:/held:ro", "busybox");
    await cli.ok("create", "--name", "plain", "busybox");
    const refused: [string[], RegExp][] = [
      [[local("one"), "ro:/x"], /container rootfs is marked read-only/],
      [[local("one"), "ro:/held/x"], /mounted volume is marked read-only/],
      [[local("one"), "ro:/none/x"], /Could not find the file \/none in container ro/],
      [[local("none"), "ro:/x"], /no such file or directory/],
      [["ro:/none", local("x")], /Could not find the file \/none in container ro/],
      [["ro:/etc", local("one")], /cannot copy directory/],
      [[local("one"), "plain:/etc/passwd/"], /no such directory/],
      [["nobody:/x", local("x")], /No such container: nobody/],
      [["ro:/etc/passwd", local("none", "x")], /invalid output path: directory ".*none" does not exist/],
    ];
    for (const [words, message] of refused) {
      const { code, err } = await cli.run("cp", ...words);
      assert.equal(code, 1, words.join(" "));
      assert.match(err, message);
    }
    assert.equal(existsSync(local("x")), false);
    await cli.ok("rm", "ro", "plain");
  });

  test("diff and export show what a container made of its tree", async () => {
    const script = "echo new > /new; rm /etc/passwd; chmod 700 /tmp; mkdir /d; ln -s /new /d/link; mkfifo /d/fifo";
    await cli.ok("run", "--name", "changed", "-v", "kept:/kept", "busybox", "sh", "-c", script);
    assert.deepEqual((await cli.ok("diff", "changed")).split("\n").sort(), [
      "A /d",
      "A /d/fifo",
      "A /d/link",
      "A /kept",
      "A /new",
      "C /etc",
      "C /tmp",
      "D /etc/passwd",
    ]);
    const archive = await stdout(cli, ["export", "changed"]);
    const listed = spawnSync("tar", ["tv"], { input: archive }).stdout.toString();
    assert.match(listed, /-rw-r--r-- 0\/0 +4 \S+ \S+ new\n/);
    assert.match(listed, /lrwxrwxrwx 0\/0 +0 \S+ \S+ d\/link -> \/new\n/);
    assert.match(listed, /prw-r--r-- 0\/0 +0 \S+ \S+ d\/fifo\n/);
    assert.doesNotMatch(listed, /etc\/passwd/);
    await cli.ok("rm", "changed");
  });
});

/** Standard output as it is: an archive. */
function stdout(cli: Cli, words: readonly string[]): Promise<Buffer> {
  const child = cli.spawn(words);
  child.stdin?.end();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("close", (code) =>
      code === 0 ? resolve(Buffer.concat(chunks)) : reject(new Error(`exit code ${code}`)),
    );
  });
}
