/** Quotas: how many bytes repositories may hold. A blob counts in each repository that has it. */
import { RegistryError } from "./errors.ts";
import type { Storage } from "./storage/open.ts";

export interface Quota {
  readonly repositories: readonly RegExp[];
  readonly bytes: number;
  /** Each repository by itself, not all of them together. Default false. */
  readonly each?: boolean | undefined;
}

export class Quotas {
  readonly #quotas: readonly Quota[];
  readonly #storage: Storage;
  /** By repository. */
  readonly #used = new Map<string, number>();
  /** By quota, of all its repositories. */
  readonly #totals = new Map<Quota, number>();

  private constructor(storage: Storage, quotas: readonly Quota[]) {
    this.#storage = storage;
    this.#quotas = quotas;
    if (quotas.length > 0) storage.repositories.watchers.add((name, { bytes = 0 }) => this.#add(name, bytes));
  }

  /** Counts what is there; nobody may change it meanwhile. */
  static async open(storage: Storage, quotas: readonly Quota[]): Promise<Quotas> {
    const made = new Quotas(storage, quotas);
    for (const name of quotas.length === 0 ? [] : await storage.repositories.names())
      if (quotas.some((quota) => isMeant(quota, name))) made.#add(name, await count(storage, name));
    return made;
  }

  #add(name: string, bytes: number): void {
    if (bytes === 0) return;
    this.#used.set(name, (this.#used.get(name) ?? 0) + bytes);
    for (const quota of this.#quotas)
      if (isMeant(quota, name)) this.#totals.set(quota, (this.#totals.get(quota) ?? 0) + bytes);
  }

  /** What refuses more bytes to a repository, what is being uploaded counted too; undefined when nothing limits it. Throws DENIED when called. */
  guard(name: string): ((more: number) => void) | undefined {
    if (!this.#quotas.some((quota) => isMeant(quota, name))) return undefined;
    return (more) => {
      const [short] = this.shortages(name, more);
      if (short !== undefined) throw usedUp(name, short);
    };
  }

  get any(): boolean {
    return this.#quotas.length > 0;
  }

  /** The quotas that so many more bytes would break. */
  shortages(name: string, more: number): Shortage[] {
    const short: Shortage[] = [];
    for (const quota of this.#quotas.filter((one) => isMeant(one, name))) {
      const isCounted =
        quota.each === true ? (other: string) => other === name : (other: string) => isMeant(quota, other);
      const held = quota.each === true ? this.#used.get(name) : this.#totals.get(quota);
      const used = this.#storage.uploads.pending(isCounted) + (held ?? 0);
      if (used + more > quota.bytes) short.push({ quota: quota.bytes, used, isCounted });
    }
    return short;
  }
}

export interface Shortage {
  /** Bytes. */
  readonly quota: number;
  readonly used: number;
  /** Whether a repository's bytes are among those used. */
  readonly isCounted: (name: string) => boolean;
}

function usedUp(name: string, { quota, used }: Shortage): RegistryError {
  return new RegistryError(
    "DENIED",
    `the quota of ${quota} bytes is used up: ${used} bytes are held or being uploaded`,
    { detail: { name, quota, used }, hint: "delete what is not needed, and let the registry collect" },
  );
}

async function count({ repositories, blobs }: Storage, name: string): Promise<number> {
  let sum = 0;
  for (const digest of await repositories.blobLinks(name)) sum += (await blobs.info(digest))?.size ?? 0;
  for (const digest of await repositories.manifests(name))
    sum += (await repositories.manifest(name, digest))?.size ?? 0;
  return sum;
}

function isMeant({ repositories }: Quota, name: string): boolean {
  return repositories.some((pattern) => pattern.test(name));
}
