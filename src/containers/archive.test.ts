/** Files into and out of containers, running and stopped, and the attempts to get out of them. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ContainerCreateRequest } from "../api/types/container.ts";
import { readTar } from "../base/tar/reader.ts";
import type { TarInput } from "../base/tar/tar.ts";
import { TarWriter } from "../base/tar/writer.ts";
import type { Engine } from "../engine/engine.ts";
import { mountTable } from "../kernel/mounts.ts";
import { createBusybox, logText, runToEnd, startEngine } from "../testing/engine-harness.ts";

const OPTIONS = { noOverwriteDirNonDir: false, copyUidGid: false };
const VOLUME = { HostConfig: { Binds: ["vol:/v"] } };
const MTIME = 1_600_000_000_123_456_789n;

function tarOf(...entries: readonly (TarInput & { readonly body?: string })[]) {
  const writer = new TarWriter();
  void (async () => {
    for (const { body = "", ...header } of entries) await writer.add({ mtime: MTIME, ...header }, body);
    await writer.finish();
  })().catch(() => {});
  return writer.stream;
}

/** Path → what it is, of everything below a path of the container. */
async function contentOf({ containers }: Engine, id: string, path: string): Promise<Record<string, string>> {
  const { tar } = await containers.copyFrom(id, path);
  const found: Record<string, string> = {};
  for await (const entry of readTar(tar)) {
    const { type, linkPath } = entry.header;
    found[entry.header.path] =
      type === "file" ? (await entry.bytes(1 << 20)).toString() : type === "directory" ? "/" : `-> ${linkPath}`;
  }
  return found;
}

/** The same for a container that runs and for one that does not. */
function inBothStates(
  title: string,
  request: Partial<ContainerCreateRequest>,
  check: (engine: Engine, id: string, t: TestContext) => Promise<void>,
): void {
  for (const running of [true, false])
    test(`${title} (${running ? "running" : "stopped"})`, async (t) => {
      const { engine } = await startEngine(t);
      const id = await createBusybox(engine, ["sleep", "100"], request);
      if (running) await engine.containers.start(id);
      await check(engine, id, t);
    });
}

inBothStates("what goes in comes out the same", {}, async (engine, id) => {
  const { containers } = engine;
  const tar = tarOf(
    { path: "tree/", type: "directory", mode: 0o750, uid: 7, gid: 8 },
    { path: "tree/deep/file", body: "content", mode: 0o4755, uid: 5, gid: 6 },
    { path: "tree/link", type: "symlink", linkPath: "deep/file" },
    { path: "tree/same", type: "hardlink", linkPath: "tree/deep/file" },
  );
  await containers.copyTo(id, "/tmp", tar, OPTIONS);
  assert.deepEqual(await contentOf(engine, id, "/tmp/tree"), {
    "tree/": "/",
    "tree/deep/": "/",
    "tree/deep/file": "content",
    "tree/link": "-> deep/file",
    "tree/same": "-> tree/deep/file",
  });
  for await (const { header } of readTar((await containers.copyFrom(id, "/tmp/tree")).tar)) {
    if (header.path === "tree/deep/file") assert.deepEqual([header.mode, header.uid, header.gid], [0o4755, 5, 6]);
    if (header.path === "tree/") assert.deepEqual([header.mode, header.uid, header.mtime], [0o750, 7, MTIME]);
  }
  assert.deepEqual(Object.keys(await contentOf(engine, id, "/tmp/tree/deep/.")), ["./", "./file"]);
});

inBothStates("a path's stat is Docker's", {}, async (engine, id) => {
  const { containers } = engine;
  await containers.copyTo(id, "/tmp", tarOf({ path: "l", type: "symlink", linkPath: "../etc" }), OPTIONS);
  const link = await containers.statPath(id, "/tmp/l");
  assert.deepEqual([link.name, link.linkTarget, link.mode >>> 27], ["l", "/etc", 1]);
  const folder = await containers.statPath(id, "/tmp/l/");
  assert.deepEqual([folder.name, folder.mode >>> 31], ["l", 1]);
  await assert.rejects(containers.statPath(id, "/no/such"), {
    kind: "not-found",
    message: /^Could not find the file \/no\/such in container /,
  });
});

inBothStates("no link, dotted path or archive leads out", {}, async (engine, id, t) => {
  const { containers } = engine;
  const outside = mkdtempSync(join(tmpdir(), "gantry-outside-"));
  t.after(() => rmSync(outside, { recursive: true }));
  writeFileSync(join(outside, "secret"), "secret");
  const links = tarOf(
    { path: "out", type: "symlink", linkPath: outside },
    { path: "up", type: "symlink", linkPath: `../../../../../../..${outside}` },
  );
  await containers.copyTo(id, "/tmp", links, OPTIONS);
  for (const path of ["/tmp/out/secret", "/tmp/up/secret", `/../../..${outside}/secret`])
    await assert.rejects(contentOf(engine, id, path), { kind: "not-found" });
  for (const path of ["../escaped", "../../../../../../../tmp/escaped"])
    await assert.rejects(containers.copyTo(id, "/tmp", tarOf({ path, body: "x" }), OPTIONS), { kind: "invalid" });
  await containers.copyTo(id, "/tmp", tarOf({ path: "out/new", body: "x" }), OPTIONS).catch(() => {});
  await assert.rejects(
    containers.copyTo(id, "/tmp", tarOf({ path: "hard", type: "hardlink", linkPath: `..${outside}/secret` }), OPTIONS),
  );
  assert.equal(existsSync(join(outside, "new")), false);
  assert.equal(existsSync("/tmp/escaped"), false);
});

inBothStates(
  "volumes and binds are part of the tree",
  { HostConfig: { Binds: ["data:/data"] } },
  async (engine, id) => {
    await engine.containers.copyTo(id, "/data", tarOf({ path: "file", body: "in the volume" }), OPTIONS);
    assert.deepEqual(await contentOf(engine, id, "/data/file"), { file: "in the volume" });
    const other = await createBusybox(engine, ["cat", "/x/file"], { HostConfig: { Binds: ["data:/x"] } });
    assert.equal(await runToEnd(engine, other), 0);
    assert.equal(await logText(engine, other), "in the volume");
  },
);

inBothStates(
  "what is read-only is not written",
  { HostConfig: { ReadonlyRootfs: true, Binds: ["ro:/ro:ro", "rw:/rw"] } },
  async ({ containers }, id) => {
    const file = () => tarOf({ path: "f", body: "x" });
    await assert.rejects(containers.copyTo(id, "/tmp", file(), OPTIONS), {
      kind: "forbidden",
      message: "container rootfs is marked read-only",
    });
    await assert.rejects(containers.copyTo(id, "/ro", file(), OPTIONS), {
      kind: "forbidden",
      message: "mounted volume is marked read-only",
    });
    await containers.copyTo(id, "/rw", file(), OPTIONS);
  },
);

inBothStates("what is there makes room, or is kept when that is wished", {}, async (engine, id) => {
  const { containers } = engine;
  const file = tarOf({ path: "x", body: "1" });
  await containers.copyTo(id, "/tmp", file, OPTIONS);
  await containers.copyTo(id, "/tmp", tarOf({ path: "x/", type: "directory" }), OPTIONS);
  await assert.rejects(
    containers.copyTo(id, "/tmp", tarOf({ path: "x", body: "2" }), { ...OPTIONS, noOverwriteDirNonDir: true }),
    { kind: "invalid", message: /cannot overwrite directory/ },
  );
  await assert.rejects(containers.copyTo(id, "/etc/passwd", tarOf({ path: "x" }), OPTIONS), { kind: "invalid" });
  await containers.copyTo(id, "/tmp", tarOf({ path: "x", body: "3" }), OPTIONS);
  assert.deepEqual(await contentOf(engine, id, "/tmp/x"), { x: "3" });
});

test("a tmpfs of a running container is reached", async (t) => {
  const { engine } = await startEngine(t);
  const id = await createBusybox(engine, ["sh", "-c", "while [ ! -e /ram/f ]; do sleep 0.05; done; cat /ram/f"], {
    HostConfig: { Tmpfs: { "/ram": "" }, ReadonlyRootfs: true },
  });
  const { result } = await engine.containers.wait(id, "next-exit");
  await engine.containers.start(id);
  await engine.containers.copyTo(id, "/ram", tarOf({ path: "f", body: "ram" }), OPTIONS);
  assert.equal((await result).StatusCode, 0);
  assert.match(await logText(engine, id), /^(ram)?$/);
});

test("copies of a stopped container can be given to its user", async (t) => {
  const { engine, dataRoot } = await startEngine(t);
  const id = await createBusybox(engine, ["true"], { User: "1234:4321", HostConfig: { Binds: ["vol:/v"] } });
  await engine.containers.copyTo(id, "/v", tarOf({ path: "f", body: "x" }), { ...OPTIONS, copyUidGid: true });
  const { uid, gid } = statSync(join(dataRoot, "volumes", "vol", "_data", "f"));
  assert.deepEqual([uid, gid], [1234, 4321]);
  assert.equal(readFileSync(join(dataRoot, "volumes", "vol", "_data", "f"), "utf8"), "x");
});

inBothStates(
  "what is mounted below a folder comes out with it",
  { Volumes: { "/data/anonymous": {} }, HostConfig: { Binds: ["named:/data/named", "nested:/data/named/deeper"] } },
  async (engine, id) => {
    const { containers } = engine;
    for (const place of ["/data/anonymous", "/data/named", "/data/named/deeper"])
      await containers.copyTo(id, place, tarOf({ path: "file", body: place }), OPTIONS);
    const content = await contentOf(engine, id, "/data");
    assert.deepEqual(
      Object.entries(content).filter(([, body]) => body !== "/"),
      [
        ["data/anonymous/file", "/data/anonymous"],
        ["data/named/deeper/file", "/data/named/deeper"],
        ["data/named/file", "/data/named"],
      ],
    );
    // One archive for all of it.
    await containers.copyTo(id, "/data", tarOf({ path: "named/deeper/second", body: "below" }), OPTIONS);
    assert.equal((await contentOf(engine, id, "/data/named/deeper"))["deeper/second"], "below");
  },
);

inBothStates(
  "links mean places in the container, also absolute ones and through volumes",
  VOLUME,
  async (engine, id) => {
    const { containers } = engine;
    const links = tarOf(
      { path: "absolute", type: "symlink", linkPath: "/etc" },
      { path: "volume", type: "symlink", linkPath: "/v" },
    );
    await containers.copyTo(id, "/tmp", links, OPTIONS);
    await containers.copyTo(id, "/v", tarOf({ path: "back", type: "symlink", linkPath: "/home" }), OPTIONS);
    await containers.copyTo(id, "/tmp", tarOf({ path: "absolute/made", body: "1" }), OPTIONS);
    await containers.copyTo(id, "/tmp/volume/back", tarOf({ path: "here", body: "2" }), OPTIONS);
    assert.equal((await contentOf(engine, id, "/etc/made")).made, "1");
    assert.equal((await contentOf(engine, id, "/home/here")).here, "2");
    await containers.copyTo(
      id,
      "/tmp",
      tarOf({ path: "a", body: "linked" }, { path: "b", type: "hardlink", linkPath: "a" }),
      OPTIONS,
    );
    assert.equal((await contentOf(engine, id, "/tmp/b")).b, "linked");
  },
);

inBothStates(
  "a link to what is read-only is no way to write it",
  { HostConfig: { Binds: ["vol:/v:ro"], ReadonlyRootfs: true, Tmpfs: { "/tmp": "" } } },
  async (engine, id) => {
    const { containers } = engine;
    await assert.rejects(containers.copyTo(id, "/v", tarOf({ path: "f", body: "x" }), OPTIONS), {
      kind: "forbidden",
      message: "mounted volume is marked read-only",
    });
    await assert.rejects(containers.copyTo(id, "/etc", tarOf({ path: "f", body: "x" }), OPTIONS), {
      kind: "forbidden",
      message: "container rootfs is marked read-only",
    });
  },
);

test("a container that swaps files for links while they are copied in reaches nothing outside", async (t) => {
  const { engine } = await startEngine(t);
  const { containers } = engine;
  const outside = mkdtempSync(join(tmpdir(), "gantry-outside-"));
  t.after(() => rmSync(outside, { recursive: true }));
  const secret = join(outside, "secret");
  writeFileSync(secret, "secret", { mode: 0o600 });
  const attack = `mkdir /w; cd /w; while :; do rm -f f; ln -s ${secret} f; done`;
  const id = await createBusybox(engine, ["sh", "-c", attack]);
  await containers.start(id);
  const entries = Array.from({ length: 300 }, () => ({ path: "f", body: "mine", mode: 0o777, uid: 1, gid: 1 }));
  for (let round = 0; round < 10; round++)
    await containers.copyTo(id, "/w", tarOf(...entries), OPTIONS).catch(() => {});
  const { mode, uid } = statSync(secret);
  assert.deepEqual([mode & 0o7777, uid, readFileSync(secret, "utf8")], [0o600, 0, "secret"]);
});

test("a stopped container's tree leaves nothing mounted, and takes nothing from a start at the same time", async (t) => {
  const { engine, execRoot } = await startEngine(t);
  const { containers } = engine;
  const id = await createBusybox(engine, ["sleep", "100"], { HostConfig: { Binds: ["vol:/v"] } });
  const copies = Array.from({ length: 8 }, (_, i) =>
    containers.copyTo(id, "/v", tarOf({ path: `f${i}`, body: String(i) }), OPTIONS),
  );
  await Promise.all([...copies, containers.start(id)]);
  assert.equal(Object.keys(await contentOf(engine, id, "/v")).length, 9);
  await containers.kill(id, "KILL");
  await containers.statPath(id, "/v/f1");
  await until(() => mountTable().every(({ target }) => !target.startsWith(join(execRoot, "containers"))));
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
