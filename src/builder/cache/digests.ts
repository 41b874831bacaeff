import type { Digest } from "../../base/digest.ts";
import type { Store } from "../../store/store.ts";

/** What selections of files of unchanging trees came to. */
export class DigestMemo {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get(chainId: Digest, selection: string): Digest | undefined {
    const sql = "SELECT digest FROM build_digests WHERE chain_id = ? AND selection = ?";
    return this.#store.get<{ digest: string }>(sql, chainId, selection)?.digest;
  }

  /** Of a context (its name has a space before its version) older versions are forgotten. */
  set(chainId: Digest, selection: string, digest: string): void {
    const cut = chainId.lastIndexOf(" ") + 1;
    if (cut > 0) {
      const prefix = chainId.slice(0, cut);
      const sql = "DELETE FROM build_digests WHERE chain_id >= ? AND chain_id < ? AND chain_id != ?";
      this.#store.run(sql, prefix, `${prefix}~`, chainId);
    }
    const sql = "INSERT OR REPLACE INTO build_digests (chain_id, selection, digest) VALUES (?, ?, ?)";
    this.#store.run(sql, chainId, selection, digest);
  }

  /** Forgets trees that are gone. */
  retain(isThere: (chainId: Digest) => boolean): void {
    for (const { chain_id } of this.#store.all<{ chain_id: string }>("SELECT DISTINCT chain_id FROM build_digests"))
      if (!chain_id.includes(" ") && !isThere(chain_id))
        this.#store.run("DELETE FROM build_digests WHERE chain_id = ?", chain_id);
  }
}
