import { readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { removeTree } from "../kernel/trees.ts";

/** A tree of up to this many entries is removed in one go, which takes about a millisecond. */
const SMALL = 24;

/** Removes trees after the caller has gone on: small ones in one go, others on the thread pool. A failure is told to the log: the next start tries again. */
export class Remover {
  readonly #logger: Logger;
  #tail: Promise<void> = Promise.resolve();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** `path` must be known to nobody any more. */
  remove(path: string): void {
    this.#tail = this.#tail.then(async () => {
      await nextTurn();
      if (isSmall(path)) this.#removeNow(path);
      else await this.#removeLater(path);
    });
  }

  /** Resolves when everything is gone that was to be removed so far. */
  settled(): Promise<void> {
    return this.#tail;
  }

  #removeNow(path: string): void {
    try {
      removeFolder(path);
    } catch (error) {
      this.#failed(path, error);
    }
  }

  async #removeLater(path: string): Promise<void> {
    try {
      await removeTree(path);
    } catch (error) {
      this.#failed(path, error);
    }
  }

  #failed(path: string, error: unknown): void {
    this.#logger.log("warn", "could not remove a snapshot's folder", { path, error: errorMessage(error) });
  }
}

/** Five times faster than rmSync for a handful of entries. */
function removeFolder(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = `${path}/${entry.name}`;
    if (entry.isDirectory()) removeFolder(child);
    else unlinkSync(child);
  }
  rmdirSync(path);
}

function isSmall(path: string): boolean {
  let left = SMALL;
  const count = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (--left < 0) return;
      // A single large file can take long; what holds data is not looked at more closely.
      if (entry.isFile()) left -= 4;
      else if (entry.isDirectory()) count(`${folder}/${entry.name}`);
    }
  };
  try {
    count(path);
    return left >= 0;
  } catch {
    return false;
  }
}
