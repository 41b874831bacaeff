import type { Migration } from "../store.ts";

/**
 * build_contexts  folders that clients sent, kept for the next build of the same folder. `name` says which folder of which machine; several
 * rows have one name while builds of it run at the same time. `state` is "ready" or "updating": what an engine that died was
 * updating is removed at the next start. Times are milliseconds since the epoch, `size` is bytes on the disk.
 */
export const migrations: readonly Migration[] = [
  {
    id: "builder-contexts/1",
    sql: `
      CREATE TABLE build_contexts (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        description TEXT NOT NULL,
        size INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER NOT NULL,
        usage_count INTEGER NOT NULL,
        state TEXT NOT NULL
      ) STRICT;`,
  },
];
