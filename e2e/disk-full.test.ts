/** A full disk during a load: a clear error, nothing of the image left, and the daemon goes on. */
import assert from "node:assert/strict";
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxArchive } from "../scripts/base-image.ts";
import { TarWriter } from "../src/base/tar/writer.ts";
import { mount, unmountIfMounted } from "../src/kernel/mounts.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";

test("a disk that fills up during a load is said to be full, and nothing of the image stays", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-full-"));
  const disk = join(folder, "disk");
  mkdirSync(disk);
  mount({ source: "tmpfs", target: disk, type: "tmpfs", data: "size=24m" });
  t.after(() => {
    unmountIfMounted(disk, { detach: true });
    rmSync(folder, { recursive: true, force: true });
  });
  const daemon = await startDaemon({ flags: ["--data-root", disk], image: false });
  t.after(() => daemon[Symbol.asyncDispose]());

  const big = join(folder, "big.tar");
  const writer = new TarWriter();
  const written = pipeline(writer.stream, createWriteStream(big));
  const layer = Buffer.alloc(40 << 20, "not compressible? it need not be");
  await writer.add({ path: "layer.tar" }, layer);
  await writer.add(
    { path: "config.json" },
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }),
  );
  await writer.add(
    { path: "manifest.json" },
    JSON.stringify([{ Config: "config.json", RepoTags: ["big:1"], Layers: ["layer.tar"] }]),
  );
  await writer.finish();
  await written;

  const response = await daemon.open("POST", "/images/load", createReadStream(big));
  const answer = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
  assert.match(answer, /no space left/i);
  assert.deepEqual(await daemon.call("GET", "/images/json?all=1"), []);
  assert.deepEqual(readdirSync(join(disk, "content", "ingest")), []);

  await makeBusyboxArchive(daemon.archive);
  await daemon.call("POST", "/images/load", createReadStream(daemon.archive));
  assert.equal((await daemon.call<unknown[]>("GET", "/images/json")).length, 1);
});

test("a disk that is full of logs costs lines, which the log and the daemon tell of", async (t) => {
  const daemon = await startDaemon();
  const logs = join(daemon.dataRoot, "containers");
  mount({ source: "tmpfs", target: logs, type: "tmpfs", data: "size=512k" });
  t.after(async () => {
    await daemon[Symbol.asyncDispose]();
    unmountIfMounted(logs, { detach: true });
  });
  const script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; read x; echo after";
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sh", "-c", script],
    OpenStdin: true,
  });
  const path = join(logs, Id);
  await daemon.call("POST", `/containers/${Id}/start`);
  await until(() => daemon.log().includes("lines of a container's log are being lost"));
  assert.match(daemon.log(), /no space left on device/);
  await until(() => readFileSync(join(path, `${Id}-json.log`), "utf8").length > 300_000);
  // Someone makes room.
  mount({ target: logs, flags: ["remount"], data: "size=4m" });
  await daemon.call("POST", `/containers/${Id}/kill`);
  const entries = readFileSync(join(path, `${Id}-json.log`), "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as { log: string });
  // Each gap says how many are missing between the line before it and the one after it.
  const texts = entries.map(({ log }) => log);
  const gaps = texts.flatMap((log, at) => {
    const [, missing] = /^\[gantry\] (\d+) lines? (?:is|are) missing here: No space left on device\n$/.exec(log) ?? [];
    return missing === undefined ? [] : [{ at, missing: Number(missing) }];
  });
  assert.ok(gaps.length > 0);
  const number = (at: number) => Number(/^line (\d+)\n$/.exec(texts[at] ?? "")?.[1]);
  for (const { at, missing } of gaps)
    if (at + 1 < texts.length)
      assert.equal(number(at + 1) - number(at - 1) - 1, missing, texts.slice(at - 1, at + 2).join(""));
  await until(() => daemon.log().includes(`lines of a container's log were lost`));
});

test("an exit while the disk of the data root is full is not lost: not by clients, not by the next daemon, not by the database", async (t) => {
  const { daemon, disk } = await startOnSmallDisk(t);
  const Cmd = ["sh", "-c", "trap 'exit 7' USR1; while :; do usleep 20000; done"];
  const state = async (id: string) =>
    (await daemon.call<{ State: { Status: string; ExitCode: number; Pid: number } }>("GET", `/containers/${id}/json`))
      .State;
  const run = async (name: string) => {
    const body = { Image: "busybox", Cmd, HostConfig: { NetworkMode: "none" } };
    const { Id } = await daemon.call<{ Id: string }>("POST", `/containers/create?name=${name}`, body);
    await daemon.call("POST", `/containers/${Id}/start`);
    return Id;
  };
  const ended = await run("ended");
  const late = await run("late");
  const unseen = await run("unseen");
  const pids = await Promise.all([ended, late, unseen].map(async (id) => (await state(id)).Pid));
  fill(join(disk, "fill"));

  // The daemon has some room in reserve.
  process.kill(pids[0] ?? 0, "SIGUSR1");
  assert.deepEqual(await daemon.call("POST", `/containers/${ended}/wait`), { StatusCode: 7 });
  assert.equal((await state(ended)).Status, "exited");
  // Someone takes that too: now it can't write what it sees.
  fill(join(disk, "fill-2"));
  process.kill(pids[1] ?? 0, "SIGUSR1");
  assert.deepEqual(await daemon.call("POST", `/containers/${late}/wait`), { StatusCode: 7 });
  assert.equal((await state(late)).Status, "exited");
  await until(() => daemon.log().includes("the database takes no changes"));
  await daemon.kill();
  // Seen by nobody but its monitor.
  process.kill(pids[2] ?? 0, "SIGUSR1");
  await assert.rejects(daemon.start(), /no space left on device.*Make room/s);

  for (const name of ["fill", "fill-2"]) rmSync(join(disk, name));
  await daemon.start();
  for (const id of [ended, late, unseen]) {
    const { Status, ExitCode } = await state(id);
    assert.deepEqual([Status, ExitCode], ["exited", 7]);
  }
  assert.deepEqual(readdirSync(join(daemon.execRoot, "containers")), []);
});

test("an exit while no daemon runs and the disk of the exec root is full is not lost", async (t) => {
  const { daemon, disk } = await startOnSmallDisk(t, "--exec-root");
  const body = { Image: "busybox", Cmd: ["sleep", "600"], HostConfig: { NetworkMode: "none" } };
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", body);
  await daemon.call("POST", `/containers/${Id}/start`);
  const inspect = () => daemon.call<{ State: { Pid: number; ExitCode: number } }>("GET", `/containers/${Id}/json`);
  const { Pid } = (await inspect()).State;
  await daemon.kill();
  fill(join(disk, "fill"));
  process.kill(Pid, "SIGKILL");
  await until(() => existsSync(join(disk, "containers", Id, "exit")));
  rmSync(join(disk, "fill"));
  await daemon.start();
  assert.equal((await inspect()).State.ExitCode, 137);
});

test("what the database could not take is in it when there is room again", async (t) => {
  const { daemon, disk } = await startOnSmallDisk(t);
  const body = { Image: "busybox", Cmd: ["sleep", "600"], HostConfig: { NetworkMode: "none" } };
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", body);
  await daemon.call("POST", `/containers/${Id}/start`);
  rmSync(join(disk, "reserve"));
  fill(join(disk, "fill"));
  await daemon.call("POST", `/containers/${Id}/kill`);
  assert.deepEqual(await daemon.call("POST", `/containers/${Id}/wait`), { StatusCode: 137 });
  await until(() => daemon.log().includes("the database takes no changes"));
  rmSync(join(disk, "fill"));
  await until(() => daemon.log().includes("the database takes changes again"));
  await until(() => readdirSync(join(daemon.execRoot, "containers")).length === 0);
  await daemon.kill();
  await daemon.start();
  const { State } = await daemon.call<{ State: { Status: string; ExitCode: number } }>("GET", `/containers/${Id}/json`);
  assert.deepEqual([State.Status, State.ExitCode], ["exited", 137]);
});

test("on a full disk containers can be removed, to make room", async (t) => {
  const { daemon, disk } = await startOnSmallDisk(t);
  const Cmd = ["sh", "-c", "cat /dev/zero >/big; sleep 600"];
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd,
    HostConfig: { NetworkMode: "none" },
  });
  await daemon.call("POST", `/containers/${Id}/start`);
  await until(() => statfsSync(disk).bavail === 0);
  await daemon.call("DELETE", `/containers/${Id}?force=1`);
  await until(() => statfsSync(disk).bavail * statfsSync(disk).bsize > 8 << 20);
});

/** A daemon whose data root, or exec root, has 48 MiB. */
async function startOnSmallDisk(t: TestContext, root = "--data-root"): Promise<{ daemon: TestDaemon; disk: string }> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-full-"));
  const disk = join(folder, "disk");
  mkdirSync(disk);
  mount({ source: "tmpfs", target: disk, type: "tmpfs", data: "size=48m" });
  let daemon: TestDaemon | undefined;
  t.after(async () => {
    for (const name of ["fill", "fill-2"]) rmSync(join(disk, name), { force: true });
    await daemon?.[Symbol.asyncDispose]();
    unmountIfMounted(disk, { detach: true });
    rmSync(folder, { recursive: true, force: true });
  });
  daemon = await startDaemon({ flags: [root, disk] });
  return { daemon, disk };
}

/** A file that takes all room that is left. */
function fill(path: string): void {
  const fd = openSync(path, "w");
  const chunk = Buffer.alloc(64 << 10);
  try {
    for (;;) writeSync(fd, chunk);
  } catch (error) {
    assert.match(String(error), /ENOSPC/);
  } finally {
    closeSync(fd);
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await condition()); await sleep(20))
    if (Date.now() > end) throw new Error(`it did not come to be: ${condition}`);
}
