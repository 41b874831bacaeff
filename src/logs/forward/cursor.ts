import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Cursor } from "./entries.ts";

/** The place up to which a log was sent, in a file beside it. It outlives the engine; a power cut may take its last moments. */
export class CursorFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Undefined when nothing was sent yet. */
  read(): Cursor | undefined {
    try {
      const [, file, offset] = /^([0-9a-f]{40}) (\d+)\n$/.exec(readFileSync(this.#path, "latin1")) ?? [];
      return file === undefined || offset === undefined ? undefined : { file, offset: Number(offset) };
    } catch {
      return undefined;
    }
  }

  /** All of it or nothing. */
  write({ file, offset }: Cursor): void {
    const temporary = `${this.#path}.tmp`;
    writeFileSync(temporary, `${file} ${offset}\n`, { mode: 0o600 });
    renameSync(temporary, this.#path);
  }
}
