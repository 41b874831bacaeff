import type { Migration } from "../store.ts";

/**
 * images  one row per image id. `manifest` is its descriptor (JSON); `blobs` a JSON array of every digest it needs in content
 *         (manifest, configuration, layers); `config` the configuration's bytes.
 * image_names  normalised names, with a tag or with a digest; `target` is the descriptor the name stands for (JSON).
 * Times are RFC 3339.
 */
export const migrations: readonly Migration[] = [
  {
    id: "images/1",
    sql: `
      CREATE TABLE images (
        id TEXT PRIMARY KEY,
        manifest TEXT NOT NULL,
        config TEXT NOT NULL,
        blobs TEXT NOT NULL,
        parent TEXT,
        added_at TEXT NOT NULL,
        tagged_at TEXT,
        used_at TEXT
      ) STRICT;
      CREATE TABLE image_names (
        name TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES images (id),
        target TEXT NOT NULL
      ) STRICT;
      CREATE INDEX image_names_by_image ON image_names (image);`,
  },
];
