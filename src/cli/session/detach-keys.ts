/** The keys that leave a session. The daemon acts on them; here it is only seen that they were the last that was typed. */

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** Bytes of "ctrl-p,ctrl-q". Throws for what is no key. */
export function detachBytes(keys: string): Buffer {
  return Buffer.from(keys.split(",").map(keyByte));
}

function keyByte(key: string): number {
  if (key.length === 1) return key.charCodeAt(0);
  const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(key)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
  if (key === "DEL") return 0x7f;
  throw new Error(`Unknown character: '${key}'`);
}

/** Remembers the end of what was typed. */
export class DetachWatch {
  readonly #keys: Buffer;
  #tail: Buffer = Buffer.alloc(0);

  constructor(keys: string) {
    this.#keys = detachBytes(keys || DEFAULT_DETACH_KEYS);
  }

  saw(bytes: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, bytes]).subarray(-this.#keys.length);
  }

  get detached(): boolean {
    return this.#keys.length > 0 && this.#tail.equals(this.#keys);
  }
}
