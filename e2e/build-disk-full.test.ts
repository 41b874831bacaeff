/** Disks that are full while a build receives, stores, exports, or hands out what it made: said in words, nothing left, and the next build works. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mount, unmountIfMounted } from "../src/kernel/mounts.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing, type Result } from "./lib/cli.ts";

const MEBIBYTE = 1 << 20;

describe("builds on full disks", { skip: process.getuid?.() === 0 ? false : "needs root" }, () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-build-full-"));
  /** The daemon's, and one for products. */
  const [disk, small] = [join(root, "disk"), join(root, "small")];
  let daemon: TestDaemon;
  let gantry: Cli;
  let clis: readonly Cli[];

  before(async () => {
    for (const [target, size] of [
      [disk, "64m"],
      [small, "4m"],
    ] as const) {
      mkdirSync(target);
      mount({ source: "tmpfs", target, type: "tmpfs", data: `size=${size}` });
    }
    daemon = await startDaemon({ flags: ["--data-root", disk] });
    gantry = new Cli("gantry", daemon);
    clis = (["docker", "gantry"] as const).filter((name) => !missing(name)).map((name) => new Cli(name, daemon));
    folder("random", { Dockerfile: "FROM busybox\nCOPY f /f\n", f: randomBytes(8 * MEBIBYTE) });
  });
  after(async () => {
    rmSync(join(disk, "fill"), { force: true });
    await daemon?.[Symbol.asyncDispose]();
    for (const place of [disk, small]) unmountIfMounted(place, { detach: true });
    rmSync(root, { recursive: true, force: true });
  });

  const place = (name: string) => join(root, name);

  function folder(name: string, files: Readonly<Record<string, string | Buffer>>): string {
    mkdirSync(place(name));
    for (const [file, content] of Object.entries(files)) writeFileSync(join(place(name), file), content);
    return place(name);
  }

  /** Leaves so many bytes on the daemon's disk. */
  function leave(bytes: number): void {
    const fd = openSync(join(disk, "fill"), "w");
    const free = () => {
      const { bavail, bsize } = statfsSync(disk);
      return bavail * bsize;
    };
    try {
      while (free() > bytes) writeSync(fd, Buffer.alloc(Math.min(MEBIBYTE, free() - bytes)));
    } finally {
      closeSync(fd);
    }
  }

  const inTmp = () => readdirSync(join(disk, "tmp")).filter((name) => name !== "empty");
  const inIngest = () => readdirSync(join(disk, "content/ingest"));

  async function assertClean(): Promise<void> {
    for (let turn = 0; inTmp().length + inIngest().length > 0; turn++) {
      assert.ok(turn < 500, `left behind: ${[...inTmp(), ...inIngest()]}`);
      await sleep(20);
    }
  }

  function assertFull({ code, out, err }: Result, hint: RegExp): void {
    assert.notEqual(code, 0);
    assert.match(out + err, /no space left on device/);
    assert.match(out + err, hint);
    assert.doesNotMatch(out + err, /ENOSPC/);
  }

  test("a context that does not fit is refused, by both clients", async () => {
    const large = folder("large", { Dockerfile: "FROM busybox\nCOPY f /f\n", f: Buffer.alloc(70 * MEBIBYTE, 1) });
    for (const cli of clis) {
      assertFull(await cli.run("build", large), /free some space in the data root/);
      await assertClean();
    }
    rmSync(large, { recursive: true });
    assert.equal((await gantry.run("build", place("random"))).code, 0);
  });

  test("wherever the room ends on the way to an image, there is an image or there is none, and the next build works", async () => {
    const steps = folder("steps", { Dockerfile: "FROM busybox\nLABEL a=b\nRUN echo x >/x\nCOPY f /f\n", f: "x" });
    const sizes = [0, 32, 96, 192].map((kibibytes) => kibibytes * 1024);
    let failed = 0;
    for (const [turn, size] of sizes.entries())
      for (const cli of clis) {
        const name = `full-${cli.name}-${turn}`;
        leave(size);
        const result = await cli.run("build", "--no-cache", "-t", name, steps);
        rmSync(join(disk, "fill"));
        if (result.code !== 0) {
          failed++;
          assert.match(result.out + result.err, /no space left on device|returned a non-zero code|exit code: 1/i);
          assert.notEqual((await gantry.run("image", "inspect", name)).code, 0);
        }
        await assertClean();
        await gantry.ok("build", "-t", name, steps);
        assert.equal((await gantry.ok("run", "--rm", "--network", "none", name, "cat", "/x")).trim(), "x");
      }
    assert.ok(failed > 0);
    await gantry.ok("image", "prune", "-af", "--filter", "label=a=b");
  });

  test("what goes to a full disk of the client's is said to, and no file is there that is not whole", async () => {
    const built = place("random");
    const tar = join(small, "x.tar");
    for (const type of ["oci", "docker", "tar"]) {
      assertFull(await gantry.run("build", "-o", `type=${type},dest=${tar}`, built), /make room/);
      assert.deepEqual(readdirSync(small), []);
    }
    const out = join(small, "out");
    assertFull(await gantry.run("build", "-o", `type=oci,tar=false,dest=${out}`, built), /make room/);
    assert.equal(existsSync(join(out, "index.json")), false);
    rmSync(out, { recursive: true });
    assertFull(await gantry.run("build", "-o", out, built), /make room/);
    assert.equal(existsSync(join(out, "f")), false);
    rmSync(out, { recursive: true });
    const fd = openSync(join(small, "fill"), "w");
    assert.throws(() => {
      for (;;) writeSync(fd, Buffer.alloc(4096));
    }, /ENOSPC/);
    closeSync(fd);
    for (const flag of ["--iidfile", "--metadata-file"])
      assertFull(await gantry.run("build", flag, join(small, "said"), built), /make room/);
    assert.deepEqual(readdirSync(small), ["fill"]);
    rmSync(join(small, "fill"));
    await gantry.ok("build", "--iidfile", join(small, "said"), built);
    assert.match(readFileSync(join(small, "said"), "utf8"), /^sha256:[0-9a-f]{64}$/);
    rmSync(join(small, "said"));
  });

  test("a cache that does not fit where it goes, or on the way there, fails the build unless told not to; none is left", async () => {
    const built = place("random");
    const dest = join(small, "cache");
    assertFull(await gantry.run("build", "--cache-to", `type=local,dest=${dest}`, built), /make room on the disk of/);
    assert.deepEqual(readdirSync(join(dest, "blobs", "sha256")), []);
    const lenient = await gantry.run("build", "--cache-to", `type=local,dest=${dest},ignore-error=true`, built);
    assert.equal(lenient.code, 0);
    assert.match(lenient.err, /no space left on device/);
    rmSync(dest, { recursive: true });
    const elsewhere = join(root, "cache");
    leave(3 * MEBIBYTE);
    assertFull(await gantry.run("build", "--cache-to", `type=local,dest=${elsewhere}`, built), /in the data root/);
    rmSync(join(disk, "fill"));
    await assertClean();
    await gantry.ok("build", "--cache-to", `type=local,dest=${elsewhere}`, built);
    await gantry.ok("builder", "prune", "-af");
    assert.match((await gantry.run("build", "--cache-from", `type=local,src=${elsewhere}`, built)).err, /CACHED/);
  });

  test("a cache that does not fit when it is fetched costs nothing but its use", async () => {
    const elsewhere = join(root, "cache");
    await gantry.ok("builder", "prune", "-af");
    leave(3 * MEBIBYTE);
    const { out, err } = await gantry.run("build", "--cache-from", `type=local,src=${elsewhere}`, place("random"));
    assert.match(out + err, /no space left on device/);
    rmSync(join(disk, "fill"));
    await assertClean();
    await gantry.ok("build", "--cache-from", `type=local,src=${elsewhere}`, place("random"));
  });
});
