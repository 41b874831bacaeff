/** A full disk during a load: a clear error, nothing of the image left, and the daemon goes on. */
import assert from "node:assert/strict";
import { createReadStream, createWriteStream, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
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
