import type { Migration } from "../store.ts";

/**
 * containers  one row per container. `definition` (JSON) changes by `update` and network changes only; the rest is its state.
 *             Times are RFC 3339; `health` is JSON or null.
 * held_containers  those that stand still for the engine's own work, and go on at the next start should it be killed meanwhile.
 * container_volumes  which volumes a container refers to, whether it runs or not.
 */
export const migrations: readonly Migration[] = [
  {
    id: "containers/1",
    sql: `
      CREATE TABLE containers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        image TEXT NOT NULL,
        created_at TEXT NOT NULL,
        definition TEXT NOT NULL,
        status TEXT NOT NULL,
        pid INTEGER NOT NULL DEFAULT 0,
        exit_code INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        oom_killed INTEGER NOT NULL DEFAULT 0,
        started_at TEXT NOT NULL,
        finished_at TEXT NOT NULL,
        restart_count INTEGER NOT NULL DEFAULT 0,
        stopped_by_hand INTEGER NOT NULL DEFAULT 0,
        remove_volumes INTEGER NOT NULL DEFAULT 0,
        health TEXT
      ) STRICT;
      CREATE TABLE container_volumes (
        container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        volume TEXT NOT NULL,
        PRIMARY KEY (container, volume)
      ) STRICT;
      CREATE INDEX container_volumes_by_volume ON container_volumes (volume);`,
  },
  {
    id: "containers/held",
    sql: "CREATE TABLE held_containers (container TEXT PRIMARY KEY) STRICT;",
  },
];
