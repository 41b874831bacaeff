import type { Digest } from "../base/digest.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Lease } from "./images.ts";

/**
 * Holds on blobs and layers that no image reaches yet: what a load, an import or a commit has stored so far. They are kept in
 * memory, since they end with the process that holds them; what a killed one left behind no image reaches, and `collect` takes it.
 *
 * Taking a hold and removing follow each other: who holds a digest before asking whether it is stored can rely on the answer.
 */
export class Leases {
  readonly #held = new Map<Digest, number>();
  readonly #lock = new KeyedLock();

  open(): OpenLease {
    return new OpenLease(this);
  }

  /** Blobs by digest, layers by chain id. */
  holds(digest: Digest): boolean {
    return this.#held.has(digest);
  }

  /** Runs with nobody taking a hold meanwhile. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#lock.run("held", work);
  }

  add(digest: Digest): void {
    this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
  }

  drop(digest: Digest): void {
    const count = (this.#held.get(digest) ?? 0) - 1;
    if (count > 0) this.#held.set(digest, count);
    else this.#held.delete(digest);
  }
}

export class OpenLease implements Lease {
  readonly #leases: Leases;
  readonly #mine = new Set<Digest>();

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  get digests(): ReadonlySet<Digest> {
    return this.#mine;
  }

  /** Post-condition: what is stored under these digests stays until `release`. */
  async hold(digests: Iterable<Digest>): Promise<void> {
    await this.#leases.alone(async () => {
      for (const digest of digests) this.#add(digest);
    });
  }

  /** Stores something whose digest is known only then, and holds it. */
  async store<T extends { readonly digest: Digest }>(commit: () => Promise<T>): Promise<T> {
    return await this.#leases.alone(async () => {
      const stored = await commit();
      this.#add(stored.digest);
      return stored;
    });
  }

  /** Idempotent. */
  release(): void {
    for (const digest of this.#mine) this.#leases.drop(digest);
    this.#mine.clear();
  }

  #add(digest: Digest): void {
    if (this.#mine.has(digest)) return;
    this.#mine.add(digest);
    this.#leases.add(digest);
  }
}
