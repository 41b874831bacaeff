import { EngineError } from "../base/errors.ts";

const DEFAULT: readonly number[] = [16, 17];
const CONTROLS: Readonly<Record<string, number>> = { "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, _: 31 };

/** "ctrl-p,ctrl-q" to bytes; undefined: the default; "": none. Throws "invalid" with Docker's text. */
export function parseDetachKeys(keys: string | undefined): readonly number[] {
  if (keys === undefined) return DEFAULT;
  if (keys === "") return [];
  return keys.split(",").map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    const code = control === undefined ? undefined : controlCode(control);
    if (code === undefined)
      throw new EngineError("invalid", `Invalid detach keys (${keys}) provided: Unknown character: '${key}'`);
    return code;
  });
}

function controlCode(letter: string): number | undefined {
  return /^[a-z]$/.test(letter) ? letter.charCodeAt(0) - 96 : CONTROLS[letter];
}

/**
 * Looks for the detach keys in what a terminal sends. `feed` returns what to pass on, and whether the keys are complete: bytes of
 * a beginning are held back until it is clear that they are none.
 */
export class DetachScanner {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  feed(chunk: Uint8Array): { readonly pass: Uint8Array; readonly detach: boolean } {
    if (this.#keys.length === 0) return { pass: chunk, detach: false };
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { pass: Uint8Array.from(out), detach: true };
        continue;
      }
      out.push(...this.#keys.slice(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
      else if (this.#keys.length === 1) return { pass: Uint8Array.from(out), detach: true };
    }
    return { pass: Uint8Array.from(out), detach: false };
  }
}
