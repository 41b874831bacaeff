import { mkdirSync, rmSync } from "node:fs";
import { EngineError } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { lockFile } from "../../kernel/locks.ts";
import { Blobs } from "./blobs.ts";
import { type Layout, makeLayout } from "./layout.ts";
import { Repositories } from "./repositories.ts";
import { Syncer } from "./syncer.ts";
import { Uploads } from "./uploads.ts";

export interface Storage {
  readonly layout: Layout;
  readonly writable: boolean;
  readonly blobs: Blobs;
  readonly repositories: Repositories;
  readonly uploads: Uploads;
  /** Lets go of the lock. Idempotent. */
  close(): Promise<void>;
}

/**
 * Throws "conflict" when another process writes this root. A reader needs no lock, and makes nothing. Post-condition for the writer: what an earlier one
 * left unfinished is put in order.
 */
export async function openStorage(root: string, { readOnly, logger }: StorageOptions): Promise<Storage> {
  const layout = makeLayout(root);
  const lock = readOnly ? undefined : takeLock(layout);
  const syncer = new Syncer(layout, logger);
  const blobs = new Blobs(layout, syncer);
  const uploads = new Uploads(layout, blobs);
  if (!readOnly) await syncer.recover();
  return Object.freeze({
    layout,
    writable: !readOnly,
    blobs,
    repositories: new Repositories(layout, blobs),
    uploads,
    close: async () => {
      await uploads.close();
      await syncer.close();
      lock?.release();
    },
  });
}

interface StorageOptions {
  readonly readOnly: boolean;
  readonly logger: Logger;
}

function takeLock(layout: Layout): { release(): void } {
  for (const folder of [layout.root, layout.blobs, layout.unsyncedFolder, layout.uploads, layout.repositories])
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  const lock = lockFile(layout.lock);
  if (lock === undefined)
    throw new EngineError("conflict", `the registry ${layout.root} is written by another process`, {
      hint: "stop that one, or serve it for reading with --read-only",
    });
  rmSync(layout.tmp, { recursive: true, force: true });
  mkdirSync(layout.tmp);
  let held = true;
  return {
    release: () => {
      if (held) lock.release();
      held = false;
    },
  };
}
