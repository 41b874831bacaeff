import type { Digest } from "../base/digest.ts";
import type { Content } from "../content/content.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Catalog } from "./catalog.ts";

/** What something is made of on the disk. A layer's chain id can be a blob's digest, so they are kept apart. */
export interface Makings {
  readonly blobs: ReadonlySet<Digest>;
  /** Chain ids. */
  readonly layers: ReadonlySet<Digest>;
}

/** All that the targets have which show an image: every platform of it. */
export function makingsOf(catalog: Catalog, id: Digest): Makings {
  const targets = catalog.targetsOf(id);
  const images = new Set([id, ...targets.flatMap(({ parts }) => parts.flatMap(({ image }) => image ?? []))]);
  return {
    blobs: new Set(targets.flatMap(({ blobs }) => blobs)),
    layers: new Set([...images].flatMap((image) => catalog.image(image)?.chain ?? [])),
  };
}

/** How many sizes are remembered: some megabytes. */
const KNOWN_BLOBS = 50_000;

/** Bytes on the disk: what du says. */
export class Sizes {
  readonly #content: Content;
  readonly #snapshots: Snapshots;
  /** Blobs do not change, and only those of images are asked for: a list of hundreds must not look at thousands of files. */
  readonly #blobs = new Map<Digest, number>();

  constructor({ content, snapshots }: { readonly content: Content; readonly snapshots: Snapshots }) {
    this.#content = content;
    this.#snapshots = snapshots;
  }

  blob(digest: Digest): number {
    const known = this.#blobs.get(digest);
    if (known !== undefined) return known;
    const bytes = this.#content.info(digest)?.allocated;
    if (bytes === undefined) return 0;
    if (this.#blobs.size >= KNOWN_BLOBS) this.#blobs.clear();
    this.#blobs.set(digest, bytes);
    return bytes;
  }

  /** 0 for one that is not unpacked. */
  layer(chainId: Digest): number {
    const layer = this.#snapshots.layer(chainId);
    return layer?.usage ?? layer?.size ?? 0;
  }

  of({ blobs, layers }: Makings): number {
    let sum = 0;
    for (const digest of blobs) sum += this.blob(digest);
    for (const chainId of layers) sum += this.layer(chainId);
    return sum;
  }

  /** Of all images together, each layer and blob once. */
  all(catalog: Catalog): number {
    const blobs = new Set([...catalog.targets()].flatMap((target) => target.blobs));
    const layers = new Set([...catalog.images()].flatMap(({ chain }) => chain));
    return this.of({ blobs, layers });
  }
}

/** Of each image's makings, what another one has too. */
export function sharedMakings(all: ReadonlyMap<Digest, Makings>): Makings {
  const [blobs, layers] = (["blobs", "layers"] as const).map((kind) => {
    const seen = new Set<Digest>();
    const twice = new Set<Digest>();
    for (const makings of all.values())
      for (const digest of makings[kind]) (seen.has(digest) ? twice : seen).add(digest);
    return twice;
  });
  return { blobs: blobs ?? new Set(), layers: layers ?? new Set() };
}
