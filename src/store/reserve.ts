/** Room on the disk that is kept for the database, so that a full disk can be emptied: removing things is written there, too. */
import { randomBytes } from "node:crypto";
import { rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const RESERVED = 512 << 10;
/** It is taken again when so much is free. */
const PLENTY = 16 << 20;
const RETRY_MS = 5000;

export class Reserve {
  readonly #path: string;
  #timer: NodeJS.Timeout | undefined;

  /** Takes the room, if the disk has plenty; otherwise as soon as it has. */
  constructor(path: string) {
    this.#path = path;
    this.#take();
  }

  /** Gives the room back to the disk. False when there was none. */
  release(): boolean {
    if (!this.#isTaken()) return false;
    rmSync(this.#path, { force: true });
    this.#takeLater();
    return true;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #take(): void {
    try {
      const { bavail, bsize } = statfsSync(dirname(this.#path));
      if (!this.#isTaken()) {
        if (bavail * bsize < PLENTY) throw new Error("not enough room");
        // Random, so that no file system packs it.
        writeFileSync(this.#path, randomBytes(RESERVED), { mode: 0o600 });
      }
      this.close();
      this.#timer = undefined;
    } catch {
      this.#takeLater();
    }
  }

  #takeLater(): void {
    this.#timer ??= setInterval(() => this.#take(), RETRY_MS).unref();
  }

  #isTaken(): boolean {
    return (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) > 0;
  }
}
