import type { Migration } from "../store.ts";

/**
 * images         one row per image id. `kind` is "image" or "artifact"; `manifest` its descriptor (JSON); `config` the
 *                configuration's bytes.
 * image_targets  what names point to, each whole: a manifest, an index, an artifact. `image` is the id it is shown under; `tree` says
 *                (JSON) which documents and parts it has, and which blobs these need in content. An image is there as long as a target
 *                has it.
 * image_names    normalised names, with a tag or with a digest; `target` is the descriptor the name stands for (JSON).
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
  {
    id: "images/2",
    sql: `
      ALTER TABLE images ADD COLUMN kind TEXT NOT NULL DEFAULT 'image';
      CREATE TABLE image_targets (
        digest TEXT PRIMARY KEY,
        descriptor TEXT NOT NULL,
        image TEXT NOT NULL REFERENCES images (id),
        tree TEXT NOT NULL,
        added_at TEXT NOT NULL
      ) STRICT;
      CREATE INDEX image_targets_by_image ON image_targets (image);
      INSERT OR IGNORE INTO image_targets
        SELECT json_extract(known.descriptor, '$.digest'), known.descriptor, images.id,
          json_object('documents', json_array(), 'parts', json_array(json_object(
            'descriptor', json(known.descriptor), 'kind', 'image', 'available', json('true'), 'image', images.id, 'blobs', json(images.blobs)))),
          images.added_at
        FROM (SELECT id, manifest AS descriptor FROM images UNION SELECT image, target FROM image_names) AS known
        JOIN images ON images.id = known.id;
      ALTER TABLE images DROP COLUMN blobs;`,
  },
];
