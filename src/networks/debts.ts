/**
 * What an IPAM plug-in gave and no other row of ours has yet: written as soon as its answer is there, and struck out by the transaction
 * that keeps what it gave. What is left after a kill the next start gives back.
 */
import { newId } from "../base/ids.ts";
import type { Store } from "../store/store.ts";

export interface Debt {
  readonly id: string;
  /** The plug-in's name. */
  readonly driver: string;
  readonly method: "ReleaseAddress" | "ReleasePool";
  readonly body: Readonly<Record<string, string>>;
}

export class Debts {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Answers the debt's id. */
  owe({ driver, method, body }: Omit<Debt, "id">): string {
    const id = newId();
    const sql = "INSERT INTO ipam_debts (id, driver, method, body) VALUES (?, ?, ?, ?)";
    this.#store.run(sql, id, driver, method, JSON.stringify(body));
    return id;
  }

  strike(ids: readonly string[]): void {
    for (const id of ids) this.#store.run("DELETE FROM ipam_debts WHERE id = ?", id);
  }

  /** Addresses before the pools that they are of. */
  all(): Debt[] {
    return this.#store.all("SELECT id, driver, method, body FROM ipam_debts ORDER BY method").map((row) => ({
      id: String(row.id),
      driver: String(row.driver),
      method: String(row.method) as Debt["method"],
      body: JSON.parse(String(row.body)),
    }));
  }
}
