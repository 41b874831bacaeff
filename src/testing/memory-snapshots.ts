import { createHash } from "node:crypto";
import { closeSync, createReadStream, readlinkSync } from "node:fs";
import { decompress } from "../base/decompress.ts";
import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { chainIds } from "../oci/chain.ts";
import type { Layer, LayerInput, Snapshots } from "../snapshots/snapshots.ts";

/** Layers without a disk, for tests of what lies above: diff ids are verified, sizes are the plain tar's, nothing is mounted. */
export class MemorySnapshots {
  readonly driver = "overlay";
  readonly #layers = new Map<Digest, Layer>();
  readonly #active = new Map<string, Digest | undefined>();
  /** How often a layer was unpacked. */
  unpacked = 0;
  /** Awaited before each unpack: a test's own delay or failure. */
  beforeUnpack: (layer: LayerInput) => Promise<void> | void = () => {};

  /** As the contract; the methods that tests of images do not need are missing. */
  asSnapshots(): Snapshots {
    return this as unknown as Snapshots;
  }

  async unpack(
    layers: readonly LayerInput[],
    {
      signal,
      onProgress,
    }: { readonly signal?: AbortSignal; readonly onProgress?: (layer: number, bytes: number) => void } = {},
  ): Promise<Layer[]> {
    const done: Layer[] = [];
    for (const [at, input] of layers.entries()) {
      const chainId = input.parent === undefined ? input.diffId : (chainIds([input.parent, input.diffId])[1] as Digest);
      if ("growth" in input.source) await input.source.whole;
      const { diffId, size } = await digestPlain(pathOf(input.source));
      await this.beforeUnpack(input);
      signal?.throwIfAborted();
      if (diffId !== input.diffId)
        throw new EngineError("invalid", `layer has diff id ${diffId}, expected ${input.diffId}`);
      if (input.parent !== undefined && !this.#layers.has(input.parent))
        throw new EngineError("internal", `parent ${input.parent} is missing`);
      onProgress?.(at, size);
      if (!this.#layers.has(chainId)) this.unpacked++;
      this.#layers.set(chainId, { chainId, parent: input.parent, diffId, size, usage: size });
      done.push(this.#layers.get(chainId) as Layer);
    }
    return done;
  }

  layer(chainId: Digest): Layer | undefined {
    return this.#layers.get(chainId);
  }

  layerFolders(): undefined {}

  damaged(): Digest[] {
    return [];
  }

  async measured(): Promise<void> {}

  async removed(): Promise<void> {}

  layers(): Layer[] {
    return [...this.#layers.values()];
  }

  async removeLayer(chainId: Digest): Promise<void> {
    const used = [...this.#active.values()].includes(chainId) || this.layers().some(({ parent }) => parent === chainId);
    if (used) throw new EngineError("conflict", `layer ${chainId} is in use`);
    this.#layers.delete(chainId);
  }

  async prepare(key: string, parent: Digest | undefined): Promise<void> {
    this.#active.set(key, parent);
  }

  async remove(key: string): Promise<void> {
    this.#active.delete(key);
  }

  keys(): string[] {
    return [...this.#active.keys()];
  }
}

/** Of a file that was being written the one that its descriptor leads to. */
function pathOf(source: LayerInput["source"]): string {
  if (!("growth" in source)) return source.path;
  const fd = source.open();
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

async function digestPlain(path: string): Promise<{ diffId: Digest; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of decompress(createReadStream(path))) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { diffId: `sha256:${hash.digest("hex")}`, size };
}
