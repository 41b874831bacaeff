/** Copies of volumes on a file system whose files share blocks, made in a file of ours. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Events } from "../events/events.ts";
import { syncFileSystem } from "../kernel/trees.ts";
import { openPlugins } from "../plugins/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { unmountBelow } from "../testing/unmount.ts";
import { openVolumes } from "./open.ts";

const MIB = 1 << 20;
const DATA = 64 * MIB;

function cannot(): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  return spawnSync("mkfs.btrfs", ["--version"]).error === undefined ? false : "no mkfs.btrfs on this machine";
}

/** A folder on a new btrfs of 512 MiB. */
function makeBtrfs(folder: string): string {
  const [image, place] = [join(folder, "image"), join(folder, "mounted")];
  const fd = openSync(image, "w");
  ftruncateSync(fd, 512 * MIB);
  closeSync(fd);
  mkdirSync(place);
  for (const [program, ...words] of [
    ["mkfs.btrfs", "-q", image],
    ["mount", "-o", "loop", image, place],
  ] as const) {
    const { status, stderr } = spawnSync(program, words, { encoding: "utf8" });
    assert.equal(status, 0, `${program}: ${stderr}`);
  }
  return place;
}

test("where files share blocks, a snapshot, a clone and what is put back take next to no space", {
  skip: cannot(),
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-reflink-"));
  t.after(() => {
    unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  const place = makeBtrfs(folder);
  const store = openStore(makePaths(join(place, "data"), join(folder, "exec")));
  t.after(() => store.close());
  const events = { publish() {} } as unknown as Events;
  const volumes = openVolumes({
    store,
    events,
    logger: { log() {} },
    plugins: openPlugins({ sockets: [], specs: [] }),
  });
  const data = (await volumes.create({ Name: "data" })).Mountpoint;
  const bytes = randomFillSync(Buffer.alloc(DATA / 4));
  for (let file = 0; file < 4; file++) writeFileSync(join(data, `file${file}`), bytes);
  const free = async () => {
    await syncFileSystem(place);
    const { bfree, bsize } = statfsSync(place);
    return bfree * bsize;
  };
  const before = await free();
  const still = async (last: () => Promise<void>) => last();
  await volumes.copy("data", { name: "monday", snapshot: true, still });
  await volumes.copy("data", { name: "twin", snapshot: false, still });
  await volumes.restoreFrom("twin", "monday");
  const taken = before - (await free());
  assert.ok(taken < DATA / 16, `${taken} bytes for three copies of ${DATA}`);
  writeFileSync(join(data, "file0"), "changed");
  assert.ok(readFileSync(join(volumes.inspect("monday").Mountpoint, "file0")).equals(bytes));
  assert.ok(readFileSync(join(volumes.inspect("twin").Mountpoint, "file3")).equals(bytes));
});
