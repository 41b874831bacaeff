import { createHash } from "node:crypto";
import { lstatSync, rmSync, writeFileSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { type Digest, digestOf } from "../base/digest.ts";
import { explainDiskFull } from "../base/disk-full.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { setTimes } from "../kernel/nodes.ts";
import { DELETED, type TreeChange } from "./compare.ts";
import { writeLayer } from "./layer-tar.ts";

export interface SealTask {
  readonly root: string;
  readonly changes: readonly TreeChange[];
  readonly tar: string;
  readonly latest?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface SealedTree {
  readonly diffId: Digest;
  /** Bytes of the tar. */
  readonly tarSize: number;
  /** Bytes of what changed. */
  readonly size: number;
}

/** Writes the changes as a layer to the file `tar`, hashing on the way. Undefined, and no file, when there are none; no file on failure. */
export async function sealTree({ root, changes, tar, latest, signal }: SealTask): Promise<SealedTree | undefined> {
  if (changes.length === 0) return undefined;
  if (latest !== undefined) clampTimes(root, changes, latest);
  const size = changedBytes(root, changes);
  if (size <= SMALL.bytes && changes.length <= SMALL.changes) return { size, ...(await sealSmall(root, changes, tar)) };
  const writer = new TarWriter();
  const hash = createHash("sha256");
  const file = await open(tar, "wx", 0o600);
  try {
    writeLayer(root, changes, writer).catch((error: unknown) =>
      writer.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    let tarSize = 0;
    for await (const chunk of writer.stream as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      const writing = file.write(chunk);
      hash.update(chunk);
      for (let { bytesWritten } = await writing; bytesWritten < chunk.length; )
        bytesWritten += (await file.write(chunk, bytesWritten)).bytesWritten;
      tarSize += chunk.length;
    }
    await file.close();
    return { diffId: `sha256:${hash.digest("hex")}`, tarSize, size };
  } catch (error) {
    writer.destroy();
    await file.close().catch(() => {});
    await rm(tar, { force: true });
    throw explainDiskFull(error, "storing a layer");
  }
}

/** So little is put together in memory and written at once: four trips to the thread pool less. */
const SMALL = { bytes: 256 << 10, changes: 100 } as const;

async function sealSmall(root: string, changes: readonly TreeChange[], tar: string) {
  const writer = new TarWriter({ highWaterMark: 8 << 20 });
  const chunks: Buffer[] = [];
  writer.stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await writeLayer(root, changes, writer);
  await finished(writer.stream);
  const data = Buffer.concat(chunks);
  try {
    writeFileSync(tar, data, { flag: "wx", mode: 0o600 });
  } catch (error) {
    rmSync(tar, { force: true });
    throw explainDiskFull(error, "storing a layer");
  }
  return { diffId: digestOf(data), tarSize: data.length };
}

/** Setting a time changes no other entry's. */
function clampTimes(root: string, changes: readonly TreeChange[], latest: bigint): void {
  for (const { path, kind } of changes) {
    if (kind === DELETED) continue;
    const full = fullPath(root, path);
    const { mtimeNs, atimeNs } = lstatSync(full, { bigint: true });
    if (mtimeNs > latest) setTimes(full, atimeNs, latest);
  }
}

/** Bytes of the files among the changes, each once however many names it has. */
export function changedBytes(root: string, changes: readonly TreeChange[]): number {
  let total = 0;
  const seen = new Set<string>();
  for (const { path, kind } of changes) {
    if (kind === DELETED) continue;
    const stats = lstatSync(fullPath(root, path), { throwIfNoEntry: false });
    if (stats?.isFile() !== true) continue;
    const id = `${stats.dev}:${stats.ino}`;
    if (stats.nlink > 1 && seen.has(id)) continue;
    if (stats.nlink > 1) seen.add(id);
    total += stats.size;
  }
  return total;
}

function fullPath(root: string, path: string): Buffer {
  return Buffer.from(`${Buffer.from(root).toString("latin1")}/${path}`, "latin1");
}
