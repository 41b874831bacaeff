/** How many repositories have each blob, so that who takes one from a repository knows at once whether it was the last. */
import type { Digest } from "../../base/digest.ts";
import type { Storage } from "../storage/open.ts";

export class Holders {
  readonly #counts = new Map<Digest, number>();

  /** For a storage that nobody changes meanwhile; its later changes are followed. */
  static async open({ repositories }: Storage): Promise<Holders> {
    const made = new Holders();
    for (const name of await repositories.names())
      for (const digest of [...(await repositories.blobLinks(name)), ...(await repositories.manifests(name))])
        made.#count(digest, 1);
    repositories.watchers.add((_name, { linked, unlinked }) => {
      if (linked !== undefined) made.#count(linked, 1);
      if (unlinked !== undefined) made.#count(unlinked, -1);
    });
    return made;
  }

  /** For who has the blob alone: links are made and taken only by such. */
  has(digest: Digest): boolean {
    return this.#counts.has(digest);
  }

  #count(digest: Digest, by: 1 | -1): void {
    const count = (this.#counts.get(digest) ?? 0) + by;
    if (count > 0) this.#counts.set(digest, count);
    else this.#counts.delete(digest);
  }
}
