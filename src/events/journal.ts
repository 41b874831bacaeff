import { closeSync, existsSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { EventMessage } from "../api/types/system.ts";

/** Two files of at most this size keep the latest events: some ten thousand of them. */
const MAX_BYTES = 2 << 20;

/**
 * The events on the disk, one JSON object a line, so that `--since` reaches back past a restart and nothing is held in
 * memory. Not synced: a power cut may lose the last ones. A torn last line is passed over.
 */
export class Journal {
  readonly #path: string;
  readonly #maxBytes: number;
  #fd: number;
  #size: number;
  /** The last line may be cut short: by a kill, or a full disk. */
  #torn: boolean;

  constructor(path: string, maxBytes: number = MAX_BYTES) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#fd = openSync(path, "a", 0o600);
    this.#size = fstatSync(this.#fd).size;
    // A line that was cut short must not swallow the next one.
    this.#torn = this.#size > 0;
  }

  append(event: EventMessage): void {
    if (this.#size > this.#maxBytes) this.#rotate();
    this.#write(`${JSON.stringify(event)}\n`);
  }

  /** Events from `since` (nanoseconds since the epoch) on, oldest first. */
  read(since: bigint): EventMessage[] {
    const files = [`${this.#path}.1`, this.#path].filter((path) => existsSync(path));
    return files
      .flatMap((path) => readFileSync(path, "utf8").split("\n").flatMap(parseLine))
      .filter((event) => BigInt(event.timeNano) >= since);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(line: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${line}` : line);
    this.#torn = true;
    const written = writeSync(this.#fd, bytes);
    this.#size += written;
    this.#torn = written < bytes.length;
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const before = this.#fd;
    this.#fd = openSync(this.#path, "a", 0o600);
    closeSync(before);
    this.#size = 0;
    this.#torn = false;
  }
}

function parseLine(line: string): EventMessage[] {
  if (line === "") return [];
  try {
    return [JSON.parse(line) as EventMessage];
  } catch {
    return [];
  }
}
