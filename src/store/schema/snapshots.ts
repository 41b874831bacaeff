import type { Migration } from "../store.ts";

/**
 * A folder is the name of one below snapshots/. What no row names there is removed at the next start.
 * layers: `size` counts file data, `usage` what the folder takes on the disk (bytes, null until measured); `unsynced_boot` is the id of the
 * machine's boot that wrote the layer, until it is known to be on the disk.
 */
export const migrations: readonly Migration[] = [
  {
    id: "snapshots/1",
    sql: `
      CREATE TABLE layers (
        chain_id TEXT PRIMARY KEY,
        parent TEXT REFERENCES layers (chain_id),
        diff_id TEXT NOT NULL,
        folder TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        driver TEXT NOT NULL,
        created_at TEXT NOT NULL
      ) STRICT;
      CREATE INDEX layers_parent ON layers (parent);
      -- Mount points that a layer's tree lacks; '' as folder when it lacks none, '' as parent for no layer at all.
      CREATE TABLE init_trees (
        parent TEXT PRIMARY KEY,
        folder TEXT NOT NULL
      ) STRICT;
      CREATE TABLE snapshots (
        key TEXT PRIMARY KEY,
        parent TEXT REFERENCES layers (chain_id),
        folder TEXT NOT NULL UNIQUE,
        init_folder TEXT NOT NULL,
        driver TEXT NOT NULL,
        created_at TEXT NOT NULL
      ) STRICT;
      CREATE INDEX snapshots_parent ON snapshots (parent);
    `,
  },
  {
    id: "snapshots/2",
    sql: `
      ALTER TABLE layers ADD COLUMN usage INTEGER;
      ALTER TABLE layers ADD COLUMN unsynced_boot TEXT;
    `,
  },
];
