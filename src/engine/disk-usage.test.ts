import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import type { DiskUsage } from "../api/types/system.ts";
import { startDaemon } from "../testing/daemon.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";

test("images, containers, volumes and cache add up to what du says of the data root", { skip }, async () => {
  await using daemon = await startDaemon();
  const write =
    "dd if=/dev/zero of=/data/full bs=64k count=40; truncate -s 50M /data/sparse; seq 200000; mkdir /many; for i in $(seq 300); do echo $i > /many/$i; done";
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sh", "-c", write],
    HostConfig: { NetworkMode: "none", Binds: ["vol:/data"] },
  });
  await daemon.call("POST", `/containers/${Id}/start`);
  await daemon.call("POST", `/containers/${Id}/wait`);
  const sums = async () => {
    const usage = await daemon.call<DiskUsage>("GET", "/system/df");
    const sum = (sizes: readonly (number | null | undefined)[]) =>
      sizes.reduce<number>((all, one) => all + (one ?? 0), 0);
    const parts = {
      images: usage.LayersSize,
      containers: sum((usage.Containers ?? []).map(({ SizeRw }) => SizeRw)),
      volumes: sum((usage.Volumes ?? []).map(({ UsageData }) => UsageData?.Size)),
      cache: sum((usage.BuildCache ?? []).filter(({ Shared }) => !Shared).map(({ Size }) => Size)),
    };
    return { ...parts, all: sum(Object.values(parts)) };
  };
  const du = () => {
    const folders = ["content", "snapshots", "containers", "volumes"].map((name) => `${daemon.dataRoot}/${name}`);
    return Number(/(\d+)\ttotal/.exec(spawnSync("du", ["-scB1", ...folders], { encoding: "utf8" }).stdout)?.[1]);
  };
  const full = await sums();
  // Folders that hold the things are none of them.
  const own = 16 * 4096;
  assert.ok(Math.abs(full.all - du()) <= own, `df says ${JSON.stringify(full)}, du ${du()}`);
  // 300 files of a block each, and 1.3 MB of log.
  assert.ok(full.containers > 300 * 4096 + 1_300_000);
  assert.ok(full.volumes >= 40 << 16 && full.volumes < 50 << 20);
  await daemon.call("DELETE", `/containers/${Id}?v=1`);
  await daemon.call("DELETE", "/volumes/vol");
  const prune = async (filters: Record<string, string[]>) => {
    const path = `/images/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`;
    return (await daemon.call<{ SpaceReclaimed: number }>("POST", path)).SpaceReclaimed;
  };
  // Takes nothing, and waits until what was removed is gone.
  assert.equal(await prune({ label: ["nobody has"] }), 0);
  const before = du();
  assert.equal(await prune({ dangling: ["false"] }), before - du());
  assert.equal((await sums()).all, 0);
});
