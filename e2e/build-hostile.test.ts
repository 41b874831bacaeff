/** Contexts, Dockerfiles and base images made to do harm, sent to a real daemon as they are; and a disk that fills up while it builds. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { TarInput } from "../src/base/tar/tar.ts";
import { TarWriter } from "../src/base/tar/writer.ts";
import { mount, mountTable, unmountIfMounted } from "../src/kernel/mounts.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { dockerFiles, makeImage, makeTar, streamOf } from "../src/testing/image-archives.ts";

type Entry = TarInput & { readonly data?: string | Buffer };

const MEBIBYTE = 1 << 20;
const DOCKERFILE: Entry = { path: "Dockerfile", data: "FROM busybox\nCOPY . /c\n" };

async function tar(...entries: readonly Entry[]): Promise<Buffer> {
  const writer = new TarWriter();
  const chunks = Array.fromAsync(writer.stream as AsyncIterable<Buffer>);
  for (const { data, ...header } of entries) await writer.add(header, data ?? "");
  await writer.finish();
  return Buffer.concat(await chunks);
}

describe("hostile builds", { skip: process.getuid?.() === 0 ? false : "needs root" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-hostile-"));
  const disk = join(folder, "disk");
  const outside = join(folder, "outside");
  let daemon: TestDaemon;

  before(async () => {
    mkdirSync(disk);
    writeFileSync(outside, "untouched");
    mount({ source: "tmpfs", target: disk, type: "tmpfs", data: "size=64m" });
    daemon = await startDaemon({ flags: ["--data-root", disk] });
  });
  after(async () => {
    await daemon?.[Symbol.asyncDispose]();
    unmountIfMounted(disk, { detach: true });
    rmSync(folder, { recursive: true, force: true });
  });

  /** The status, and the error: of the answer as a whole, or the last line's. */
  async function build(archive: Buffer, query = ""): Promise<{ readonly status: number; readonly error: string }> {
    const response = await daemon.open("POST", `/build?nocache=1&t=hostile${query}`, streamOf(archive));
    const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
    const last = JSON.parse(text.trim().split("\n").at(-1) ?? "{}") as { message?: string; error?: string };
    return { status: response.statusCode ?? 0, error: last.message ?? last.error ?? "" };
  }

  const inTmp = () => readdirSync(join(disk, "tmp")).filter((name) => name !== "empty");
  const inIngest = () => readdirSync(join(disk, "content/ingest"));
  const mounted = () => mountTable().filter(({ target }) => target.startsWith(join(daemon.execRoot, "containers")));

  async function assertUnharmed(): Promise<void> {
    for (let turn = 0; inTmp().length + inIngest().length + mounted().length > 0; turn++) {
      assert.ok(turn < 500, `left behind: ${[...inTmp(), ...inIngest(), ...mounted().map(({ target }) => target)]}`);
      await sleep(20);
    }
    assert.equal(readFileSync(outside, "utf8"), "untouched");
    assert.deepEqual(readdirSync(folder).sort(), ["disk", "outside"]);
    assert.equal((await daemon.call<string>("GET", "/_ping")).trim(), "OK");
  }

  const archives: Readonly<Record<string, readonly [message: RegExp, ...entries: Entry[]]>> = {
    "a path that leaves": [/leaves it/, { path: "../../outside", data: "x" }],
    "a link, then a file through it": [
      /which is no folder/,
      { path: "l", type: "symlink", linkPath: folder },
      { path: "l/outside", data: "x" },
    ],
    "a link to a link, then a file through both": [
      /which is no folder/,
      { path: "a", type: "symlink", linkPath: ".." },
      { path: "b", type: "symlink", linkPath: "a/.." },
      { path: "b/outside", data: "x" },
    ],
    "a hard link out": [
      /leaves it|no file before it/,
      { path: "h", type: "hardlink", linkPath: "../../../etc/passwd" },
    ],
    "a hard link to what a link shows": [
      /no file before it/,
      { path: "l", type: "symlink", linkPath: folder },
      { path: "h", type: "hardlink", linkPath: "l/outside" },
    ],
    "a device": [/has a device/, { path: "null", type: "char", major: 1, minor: 3 }],
    "a disk": [/has a device/, { path: "disk", type: "block", major: 8, minor: 0 }],
    "a named pipe": [/has a named pipe/, { path: "pipe", type: "fifo" }],
    "a path of sixty thousand bytes": [/too long/, { path: "d/".repeat(30_000), type: "directory" }],
    "an extended attribute that no file can have": [
      /the extended attribute "user\..*" of "f" in the build context could not be kept/,
      { path: "f", data: "x", xattrs: new Map([[`user.${"n".repeat(300)}`, Buffer.from("v")]]) },
    ],
    "a whiteout": [/cannot be called/, { path: "d/.wh.passwd", data: "" }],
    "an opaque mark": [/cannot be called/, { path: "d/.wh..wh..opq", data: "" }],
  };

  for (const [what, [message, ...entries]] of Object.entries(archives))
    test(`${what} is refused`, async () => {
      const { status, error } = await build(await tar(DOCKERFILE, ...entries));
      assert.match(error, message);
      assert.ok(status === 400 || status === 200, String(status));
      await assertUnharmed();
    });

  test("absolute names, and links that lead out, stay inside", async () => {
    const place = join(folder, "made");
    const archive = await tar(
      { path: "Dockerfile", data: "FROM busybox\nCOPY . /c\nRUN test -L /c/l && test ! -e /c/l/outside\n" },
      { path: place, data: "x" },
      { path: "l", type: "symlink", linkPath: folder },
    );
    assert.deepEqual(await build(archive), { status: 200, error: "" });
    assert.ok(!existsSync(place));
    await assertUnharmed();
  });

  test("what is copied through a link out of the context is not there", async () => {
    for (const from of ["l", "l/outside", "../outside", "../../../../../../etc/passwd"]) {
      const dockerfile = { path: "Dockerfile", data: `FROM scratch\nCOPY ${from} /stolen\n` };
      const { error } = await build(await tar(dockerfile, { path: "l", type: "symlink", linkPath: folder }));
      assert.match(error, /file does not exist/, from);
    }
    await assertUnharmed();
  });

  const LINKS: readonly Entry[] = [
    { path: "k", type: "directory" },
    { path: "k/etc", type: "symlink", linkPath: "../../../../../../../../etc" },
    { path: "k/out", type: "symlink", linkPath: folder },
    { path: "k/loop", type: "symlink", linkPath: "pool" },
    { path: "k/pool", type: "symlink", linkPath: "loop" },
    { path: "k/self", type: "symlink", linkPath: "." },
    { path: "k/machine", type: "symlink", linkPath: "/proc/1/root" },
  ];
  /** Steps on an image that has the links, and what they say; "": they go well, below the image's own root. */
  const THROUGH_LINKS: Readonly<Record<string, string>> = {
    "WORKDIR /out/made": "",
    "COPY Dockerfile /out/": "",
    "COPY --link Dockerfile /out/outside": "",
    "COPY <<EOT /self/out/outside\nx\nEOT": "",
    [`ADD Dockerfile /self/self/machine${folder}/added`]: "",
    "WORKDIR /loop/x": "too many symbolic links",
    "COPY --chown=root Dockerfile /x": "unable to find user root",
    "COPY --from=linked /loop /x": "file does not exist",
    "COPY --from=linked /self/self/out/ /x": "file does not exist",
    "COPY --from=linked /out/* /x": "no source files were specified",
    "COPY --from=linked /etc/passwd /x": "file does not exist",
    "COPY k/out/outside /x": "file does not exist",
    'RUN --mount=from=linked,source=/out,target=/m ["/x"]': "file does not exist",
    'RUN --mount=source=k/out,target=/m ["/x"]': "file does not exist",
  };

  test("links of an image and of a context lead nowhere outside of them, whatever goes through them", async () => {
    for (const [steps, message] of Object.entries(THROUGH_LINKS)) {
      const data = `FROM scratch AS linked\nCOPY k /\nFROM linked\n${steps}\n`;
      const { error } = await build(await tar({ path: "Dockerfile", data }, ...LINKS));
      if (message === "") assert.equal(error, "", steps);
      else assert.ok(error.includes(message), `${steps}: ${error}`);
      await assertUnharmed();
    }
  });

  test("a device or a pipe in place of an image's user files is not read", async () => {
    for (const made of ["mknod /etc/passwd c 1 5", "mkfifo /etc/passwd"]) {
      const data = `FROM busybox\nRUN rm -f /etc/passwd; ${made}\nCOPY --chown=somebody Dockerfile /x\n`;
      assert.match((await build(await tar({ path: "Dockerfile", data }))).error, /unable to find user somebody/);
    }
    await assertUnharmed();
  });

  test("an ignore file of a hundred thousand patterns is refused in time", async () => {
    const ignored: Entry = { path: ".dockerignore", data: "*?*[a-z]**/x\n".repeat(100_000) };
    const { error } = await build(await tar(DOCKERFILE, ignored));
    assert.match(error, /there are 100000 patterns to leave files out, at most 5000 are read/);
    await assertUnharmed();
  });

  test("the Dockerfile cannot be one of the machine's files", async () => {
    const linked = await tar({ path: "Dockerfile", type: "symlink", linkPath: outside });
    assert.match((await build(linked)).error, /Dockerfile/);
    for (const name of ["../../outside", outside, "no/such", "."]) {
      const { status, error } = await build(await tar(DOCKERFILE), `&dockerfile=${encodeURIComponent(name)}`);
      assert.ok(status >= 400, `${name}: ${status}`);
      assert.doesNotMatch(error, /untouched/);
    }
    await assertUnharmed();
  });

  test("what is no archive, and what ends early, is refused", async () => {
    const whole = await tar(DOCKERFILE, { path: "f", data: "x".repeat(5000) });
    for (const bytes of [Buffer.from("FROM busybox\n".repeat(200)), whole.subarray(0, 2600), Buffer.alloc(700, 7)])
      assert.equal((await build(bytes)).status, 400);
    assert.equal((await build(gzipSync(whole).subarray(0, 60))).status, 400);
    await assertUnharmed();
  });

  test("a client that stops in the middle of its context leaves nothing", async () => {
    const whole = await tar(DOCKERFILE, { path: "f", data: Buffer.alloc(4 * MEBIBYTE, 1) });
    for (const length of [10, 600, 100_000, 3 * MEBIBYTE]) {
      const socket = connect(daemon.host.replace("unix://", ""));
      socket.on("error", () => {});
      const head = `POST /v1.51/build HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\nContent-Length: ${whole.length}\r\n\r\n`;
      await new Promise<void>((resolve) => socket.write(head, () => resolve()));
      await new Promise<void>((resolve) => socket.write(whole.subarray(0, length), () => resolve()));
      for (let turn = 0; inTmp().length === 0 && turn < 100; turn++) await sleep(10);
      socket.destroy();
      await assertUnharmed();
    }
  });

  test("archives that ADD unpacks stay below their destination", async () => {
    const evil: Readonly<Record<string, readonly [expected: RegExp, ...entries: Entry[]]>> = {
      up: [/leads out/, { path: "../../../outside", data: "x" }],
      through: [/^$/, { path: "l", type: "symlink", linkPath: folder }, { path: "l/outside", data: "x" }],
      linked: [/^$|outside the root|not in the layer/, { path: "h", type: "hardlink", linkPath: "/etc/passwd" }],
    };
    for (const [name, [expected, ...entries]] of Object.entries(evil)) {
      const archive = { path: "evil.tar", data: await tar(...entries) };
      const { error } = await build(
        await tar({ path: "Dockerfile", data: "FROM busybox\nADD evil.tar /d/\n" }, archive),
      );
      assert.match(error, expected, name);
      await assertUnharmed();
    }
  });

  test("triggers of a base image cannot have triggers, or begin a stage", async () => {
    for (const trigger of ["ONBUILD RUN true", "FROM busybox", "ONBUILD ONBUILD ONBUILD RUN true", "MAINTAINER x"]) {
      const image = await makeImage({ config: { OnBuild: [trigger] } });
      const archive = await makeTar(dockerFiles([[image, "trapped:1"]]));
      await daemon.call("POST", "/images/load", streamOf(archive));
      const { error } = await build(await tar({ path: "Dockerfile", data: "FROM trapped:1\n" }));
      assert.match(error, /ONBUILD/, trigger);
    }
    await daemon.call("DELETE", "/images/trapped:1?force=1");
    await assertUnharmed();
  });

  test("a hundred gigabytes of holes, and a gigabyte of zeros in a megabyte, are told of in time", async () => {
    const sparse = join(disk, "sparse");
    execFileSync("truncate", ["-s", "100G", sparse]);
    const archive = execFileSync("tar", ["-S", "-C", disk, "-cf", "-", "sparse"]);
    rmSync(sparse);
    const { status, error } = await build(archive);
    assert.match(error, /has 107374182400 bytes/);
    assert.equal(status, 413);
    const header = (await tar({ path: "zeros", data: "" })).subarray(0, 512);
    // The size is a field of the header, whose sum is a field too.
    header.write("10000000000\0", 124, "latin1");
    header.fill(" ", 148, 156);
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
      "latin1",
    );
    const bomb = gzipSync(Buffer.concat([header, Buffer.alloc(128 * MEBIBYTE)]), { level: 1 });
    assert.match((await build(bomb)).error, /no space left on device/);
    await assertUnharmed();
  });

  test("a disk that fills up while a step runs, or files are copied, is said to be full; then there is room again", async () => {
    const filling: Readonly<Record<string, readonly Entry[]>> = {
      run: [{ path: "Dockerfile", data: "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=100\n" }],
      // The context fits; with the layer's tree and its tar it does not.
      copy: [DOCKERFILE, { path: "f", data: Buffer.alloc(30 * MEBIBYTE, 1) }],
    };
    for (const [what, entries] of Object.entries(filling)) {
      const { error } = await build(await tar(...entries));
      assert.match(error, what === "run" ? /returned a non-zero code: 1/ : /no space left on device/i, what);
      await daemon.call("POST", "/build/prune?all=1");
      await assertUnharmed();
    }
    assert.deepEqual(await build(await tar(DOCKERFILE)), { status: 200, error: "" });
    assert.equal(readdirSync(join(disk, "tmp")).filter((name) => name !== "empty").length, 0);
  });
});
