import type { Migration } from "../store.ts";

/**
 * build_steps  what a step of a build gave, by its key. `chain_id` is the tree that it gave, `diff_id` and `blob` (a descriptor, JSON) the layer
 *              it added; null when it changed nothing. `note` is for
 *             history ("file:1234"). `created_at` is what history says (RFC 3339).
 * build_digests  the digest of a selection of files of a tree, by both; goes with the tree.
 * build_mounts   cache mounts: `folder` is the name of one below builder/mounts. What no row names there is removed at the next start.
 * `used_at` is in milliseconds since the epoch, `size` in bytes.
 */
export const migrations: readonly Migration[] = [
  {
    id: "builder/1",
    sql: `
      CREATE TABLE build_steps (
        key TEXT PRIMARY KEY,
        description TEXT NOT NULL,
        parent TEXT,
        chain_id TEXT,
        diff_id TEXT,
        blob TEXT,
        note TEXT NOT NULL,
        size INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        used_at INTEGER NOT NULL,
        uses INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX build_steps_by_use ON build_steps (used_at);
      CREATE INDEX build_steps_by_parent ON build_steps (parent);
      CREATE TABLE build_digests (
        chain_id TEXT NOT NULL,
        selection TEXT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (chain_id, selection)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE build_mounts (
        id TEXT PRIMARY KEY,
        folder TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL,
        size INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        used_at INTEGER NOT NULL,
        uses INTEGER NOT NULL
      ) STRICT;`,
  },
];
