import type { Migration } from "../store.ts";

/** volumes  `options` and `labels` are JSON objects; `state` is "making", "ready" or "removing": all but "ready" are undone at the next start; `snapshot_of` is the volume that a read-only one was made of. */
export const migrations: readonly Migration[] = [
  {
    id: "volumes/1",
    sql: `
      CREATE TABLE volumes (
        name TEXT PRIMARY KEY,
        driver TEXT NOT NULL,
        options TEXT NOT NULL,
        labels TEXT NOT NULL,
        created_at TEXT NOT NULL,
        state TEXT NOT NULL
      ) STRICT;`,
  },
  {
    id: "volumes/2",
    sql: "ALTER TABLE volumes ADD COLUMN snapshot_of TEXT;",
  },
];
