import { setImmediate as nextTurn } from "node:timers/promises";
import type { Digest } from "../base/digest.ts";
import { errorKind } from "../base/errors.ts";
import type { Content } from "../content/content.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Catalog } from "./catalog.ts";
import type { Leases } from "./leases.ts";
import type { Sizes } from "./sizes.ts";

export interface Swept {
  /** Chain ids in the order of removal: topmost first. */
  readonly layers: readonly Digest[];
  /** Bytes on the disk. */
  readonly freed: number;
}

/** Blobs looked at between two turns of the event loop: about a millisecond. */
const TURN = 64;

interface Parts {
  readonly catalog: Catalog;
  readonly content: Content;
  readonly snapshots: Snapshots;
  readonly leases: Leases;
  readonly sizes: Sizes;
  readonly keeps: (digest: Digest) => boolean;
}

/** Removes blobs and layers that neither a target, nor a lease, nor a keeper needs, nor (for layers) a container's tree lies on. */
export class Sweeper {
  readonly #parts: Parts;
  #reached: (Reachable & { readonly version: number }) | undefined;

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
    let seen = 0;
    for (const digest of candidates.blobs) {
      freed += await this.#removeBlob(digest);
      if (++seen % TURN === 0) await nextTurn();
    }
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
    const { snapshots, leases, sizes } = this.#parts;
    return await leases.alone(async () => {
      if (snapshots.layer(chainId) === undefined || this.#reaches(chainId, "layers")) return undefined;
      const bytes = sizes.layer(chainId);
      try {
        await snapshots.removeLayer(chainId);
        return bytes;
      } catch (error) {
        if (errorKind(error) === "conflict") return undefined;
        throw error;
      }
    });
  }

  async #removeBlob(digest: Digest): Promise<number> {
    const { content, leases } = this.#parts;
    return await leases.alone(async () => {
      if (content.info(digest) === undefined || this.#reaches(digest, "blobs")) return 0;
      return await content.delete(digest);
    });
  }

  /** Whether a target needs a blob (by digest) or a layer (by chain id). */
  isNeeded(digest: Digest, kind: "blobs" | "layers"): boolean {
    const { catalog } = this.#parts;
    if (this.#reached?.version !== catalog.version) this.#reached = { version: catalog.version, ...reachable(catalog) };
    return this.#reached[kind].has(digest);
  }

  #reaches(digest: Digest, kind: "blobs" | "layers"): boolean {
    const { leases, keeps } = this.#parts;
    return leases.holds(digest) || this.isNeeded(digest, kind) || keeps(digest);
  }
}

interface Reachable {
  readonly blobs: ReadonlySet<Digest>;
  /** Apart, since the lowest layer's chain id is also the digest of its plain tar, which is there or not. */
  readonly layers: ReadonlySet<Digest>;
}

function reachable(catalog: Catalog): Reachable {
  return {
    blobs: new Set([...catalog.targets()].flatMap(({ blobs }) => blobs)),
    layers: new Set([...catalog.images()].flatMap(({ chain }) => chain)),
  };
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
