/** A full disk during a load: a clear error, nothing of the image left, and the daemon goes on. */
import assert from "node:assert/strict";
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { makeBusyboxArchive } from "../scripts/base-image.ts";
import { TarWriter } from "../src/base/tar/writer.ts";
import { mount, unmountIfMounted } from "../src/kernel/mounts.ts";
import { startDaemon } from "../src/testing/daemon.ts";

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
  const [, missing = ""] =
    /^\[gantry\] (\d+) lines are missing here: No space left on device\n$/.exec(
      entries.find(({ log }) => log.startsWith("[gantry]"))?.log ?? "",
    ) ?? [];
  assert.ok(Number(missing) > 1000, missing);
  await until(() => daemon.log().includes(`lines of a container's log were lost`));
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}
