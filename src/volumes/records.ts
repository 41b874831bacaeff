import type { Volume } from "../api/types/volume.ts";
import type { Store } from "../store/store.ts";

export interface VolumeRecord {
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string;
  /** The volume that this one holds a moment of; it is read-only then. */
  readonly snapshotOf?: string | undefined;
}

/** Whether its data lies in the data root. */
export function isLocal({ driver }: VolumeRecord): boolean {
  return driver === "local";
}

type State = "making" | "ready" | "removing";

export type UnfinishedRecord = VolumeRecord & { readonly state: State };

/** The rows; only "ready" ones are seen from outside. */
export class VolumeRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  find(name: string): VolumeRecord | undefined {
    const row = this.#store.get("SELECT * FROM volumes WHERE name = ? AND state = 'ready'", name);
    return row === undefined ? undefined : recordOf(row);
  }

  all(): VolumeRecord[] {
    return this.#store.all("SELECT * FROM volumes WHERE state = 'ready' ORDER BY name").map(recordOf);
  }

  /** Those whose making or removal was cut short. */
  unfinished(): UnfinishedRecord[] {
    const rows = this.#store.all("SELECT * FROM volumes WHERE state <> 'ready'");
    return rows.map((row) => ({ ...recordOf(row), state: row.state as State }));
  }

  begin({ name, driver, options, labels, createdAt, snapshotOf }: VolumeRecord): void {
    this.#store.run(
      "INSERT INTO volumes (name, driver, options, labels, created_at, snapshot_of, state) VALUES (?, ?, ?, ?, ?, ?, 'making')",
      name,
      driver,
      JSON.stringify(options),
      JSON.stringify(labels),
      createdAt,
      snapshotOf ?? null,
    );
  }

  /** `durable`: it outlives a power cut. */
  mark(name: string, state: State, { durable = false } = {}): void {
    const update = () => this.#store.run("UPDATE volumes SET state = ? WHERE name = ?", state, name);
    if (durable) this.#store.durable(update);
    else update();
  }

  delete(name: string): void {
    this.#store.run("DELETE FROM volumes WHERE name = ?", name);
  }
}

function recordOf(row: Readonly<Record<string, unknown>>): VolumeRecord {
  return Object.freeze({
    name: String(row.name),
    driver: String(row.driver),
    options: JSON.parse(String(row.options)),
    labels: JSON.parse(String(row.labels)),
    createdAt: String(row.created_at),
    snapshotOf: row.snapshot_of === null ? undefined : String(row.snapshot_of),
  });
}

/** Docker gives null for no options and no labels. */
export function wireOf(
  { name, driver, options, labels, createdAt, snapshotOf }: VolumeRecord,
  mountpoint: string,
): Volume {
  const orNull = (values: Readonly<Record<string, string>>) =>
    (Object.keys(values).length === 0 ? null : { ...values }) as Record<string, string>;
  return {
    CreatedAt: createdAt,
    Driver: driver,
    Labels: orNull(labels),
    Mountpoint: mountpoint,
    Name: name,
    Options: orNull(options),
    Scope: "local",
    ...(snapshotOf === undefined ? {} : { Status: { SnapshotOf: snapshotOf } }),
  } as unknown as Volume;
}
