/** An image as `save` gives it, in a form in which two builds of the same inputs are the same. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { decompress } from "../../src/base/decompress.ts";
import { readTar } from "../../src/base/tar/reader.ts";
import type { TestDaemon } from "../../src/testing/daemon.ts";

export interface SavedImage {
  /** Without times, digests and what a build makes up. */
  readonly config: Record<string, unknown>;
  readonly history: readonly { readonly by: string; readonly empty: boolean; readonly comment: string }[];
  /** For each layer, path → "type mode uid:gid size link hash xattrs", sorted. */
  readonly layers: readonly Readonly<Record<string, string>>[];
}

interface ConfigFile {
  readonly config?: Record<string, unknown>;
  readonly history?: readonly { created_by?: string; empty_layer?: boolean; comment?: string }[];
  readonly [other: string]: unknown;
}

/** Reads it from the daemon. */
export async function savedImage(daemon: TestDaemon, name: string): Promise<SavedImage> {
  const archive = await daemon.open("GET", `/images/${encodeURIComponent(name)}/get`);
  const files = new Map<string, Buffer>();
  for await (const entry of readTar(archive)) files.set(entry.header.path, await entry.bytes(1 << 30));
  const [manifest] = JSON.parse(String(files.get("manifest.json"))) as { Config: string; Layers: string[] }[];
  if (manifest === undefined) throw new Error(`${name} has no manifest`);
  const file = JSON.parse(String(files.get(manifest.Config))) as ConfigFile;
  const { created: _, rootfs: __, history = [], container: ___, ...config } = file;
  return {
    config,
    history: history.map(({ created_by = "", empty_layer = false, comment = "" }) => ({
      by: created_by,
      empty: empty_layer,
      comment,
    })),
    layers: await Promise.all(manifest.Layers.map((path) => layerFiles(files.get(path) ?? Buffer.alloc(0)))),
  };
}

async function layerFiles(layer: Buffer): Promise<Record<string, string>> {
  const files: [string, string][] = [];
  for await (const { header, bytes } of readTar(decompress(Readable.from([layer], { objectMode: false })))) {
    const { type, mode, uid, gid, size, linkPath, xattrs } = header;
    const hash =
      type === "file"
        ? createHash("sha256")
            .update(await bytes(1 << 30))
            .digest("hex")
            .slice(0, 16)
        : "";
    const attributes = [...xattrs].map(([name, value]) => `${name}=${value.toString("hex")}`).join(",");
    files.push([
      header.path,
      [type, mode.toString(8), `${uid}:${gid}`, size, linkPath, hash, attributes].join(" ").trimEnd(),
    ]);
  }
  return Object.fromEntries(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}
