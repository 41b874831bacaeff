import type { Digest } from "../base/digest.ts";
import { errorKind } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Catalog } from "./catalog.ts";
import type { Leases } from "./leases.ts";

export interface Swept {
  /** Chain ids in the order of removal: topmost first. */
  readonly layers: readonly Digest[];
  /** Bytes. */
  readonly freed: number;
}

interface Parts {
  readonly catalog: Catalog;
  readonly content: Content;
  readonly snapshots: Snapshots;
  readonly leases: Leases;
  readonly keeps: (digest: Digest) => boolean;
}

/** Removes blobs and layers that neither a target, nor a lease, nor a keeper needs, nor (for layers) a container's tree lies on. */
export class Sweeper {
  readonly #parts: Parts;
  #reached: { readonly version: number; readonly digests: ReadonlySet<Digest> } | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Of these, what nothing reaches. */
  async sweep(candidates: { readonly blobs: Iterable<Digest>; readonly layers: Iterable<Digest> }): Promise<Swept> {
    const removed: Digest[] = [];
    let freed = 0;
    for (const chainId of topmostFirst(this.#parts.snapshots, candidates.layers)) {
      const bytes = await this.#removeLayer(chainId);
      if (bytes === undefined) continue;
      removed.push(chainId);
      freed += bytes;
    }
    for (const digest of candidates.blobs) freed += await this.#removeBlob(digest);
    return { layers: removed, freed };
  }

  /** Of everything, what nothing reaches. */
  async sweepAll(): Promise<Swept> {
    const { content, snapshots } = this.#parts;
    return await this.sweep({
      blobs: Array.from(content.walk(), ({ digest }) => digest),
      layers: snapshots.layers().map(({ chainId }) => chainId),
    });
  }

  /** Bytes freed; undefined when it stays. */
  async #removeLayer(chainId: Digest): Promise<number | undefined> {
    const { snapshots, leases } = this.#parts;
    return await leases.alone(async () => {
      const layer = snapshots.layer(chainId);
      if (layer === undefined || this.#reaches(chainId)) return undefined;
      try {
        await snapshots.removeLayer(chainId);
        return layer.size;
      } catch (error) {
        if (errorKind(error) === "conflict") return undefined;
        throw error;
      }
    });
  }

  async #removeBlob(digest: Digest): Promise<number> {
    const { content, leases } = this.#parts;
    return await leases.alone(async () => {
      const blob = content.info(digest);
      if (blob === undefined || this.#reaches(digest)) return 0;
      await content.delete(digest);
      return blob.size;
    });
  }

  #reaches(digest: Digest): boolean {
    const { catalog, leases, keeps } = this.#parts;
    if (this.#reached?.version !== catalog.version)
      this.#reached = { version: catalog.version, digests: reachable(catalog) };
    return leases.holds(digest) || this.#reached.digests.has(digest) || keeps(digest);
  }
}

function reachable(catalog: Catalog): Set<Digest> {
  const digests = new Set<Digest>();
  for (const { blobs } of catalog.targets()) for (const digest of blobs) digests.add(digest);
  for (const { chain } of catalog.images()) for (const chainId of chain) digests.add(chainId);
  return digests;
}

function topmostFirst(snapshots: Snapshots, layers: Iterable<Digest>): Digest[] {
  const depths = new Map<Digest, number>();
  const depthOf = (chainId: Digest): number => {
    const known = depths.get(chainId);
    if (known !== undefined) return known;
    const parent = snapshots.layer(chainId)?.parent;
    const depth = parent === undefined ? 0 : depthOf(parent) + 1;
    depths.set(chainId, depth);
    return depth;
  };
  return [...new Set(layers)].sort((a, b) => depthOf(b) - depthOf(a));
}
