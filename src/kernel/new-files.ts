/** Many small new files: made by the thread pool, some hundred at a time, while their maker reads the next ones. */
import { native } from "./native.ts";
import type { NewFile } from "./nodes.ts";

/** Files of one trip to the thread pool, and bytes of their data. */
const MOST = { files: 128, bytes: 1 << 20 } as const;

/** Trips under way at a time: they bound the memory, and how long the last one is waited for. */
const TRIPS = 3;

/** Numbers of each file: length, mode, chmod, uid, gid, atime, mtime. */
const FIELDS = 7;

/**
 * Takes files whose paths are new and whose folders are there; nothing is said of the order in which they are made. The first error is kept and thrown by
 * `room` and `settled`, as `createFile` would have thrown it.
 */
export class NewFiles {
  #fields = new BigInt64Array(MOST.files * FIELDS);
  #data = Buffer.allocUnsafeSlow(MOST.bytes);
  #paths: string[] = [];
  #filled = 0;
  readonly #trips = new Set<Promise<void>>();
  #error: { readonly reason: unknown } | undefined;

  /** Whether a file of this many bytes is worth the trip. */
  takes(bytes: number): boolean {
    return bytes <= MOST.bytes / 8;
  }

  /** The data is copied. */
  add({ path, data, mode, chmod, owner, atimeNs, mtimeNs }: NewFile): void {
    if (this.#paths.length === MOST.files || this.#filled + data.length > MOST.bytes) this.#start();
    const fields = [data.length, mode, chmod ?? -1, owner?.uid ?? -1, owner?.gid ?? -1];
    const at = this.#paths.length * FIELDS;
    for (let i = 0; i < fields.length; i++) this.#fields[at + i] = BigInt(fields[i] as number);
    this.#fields[at + 5] = atimeNs;
    this.#fields[at + 6] = mtimeNs;
    this.#data.set(data, this.#filled);
    this.#filled += data.length;
    this.#paths.push(path);
  }

  /** Undefined when there is; otherwise resolves when there is. */
  get room(): Promise<void> | undefined {
    if (this.#error !== undefined) return Promise.reject(this.#error.reason);
    return this.#trips.size < TRIPS ? undefined : Promise.race(this.#trips);
  }

  /** All that was added is made, or an error thrown; none is being made any more. */
  async settled(): Promise<void> {
    this.#start();
    await Promise.all(this.#trips);
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error.reason;
  }

  #start(): void {
    const count = this.#paths.length;
    if (count === 0) return;
    const fields = Buffer.from(this.#fields.buffer, 0, count * FIELDS * 8);
    const paths = Buffer.from(`${this.#paths.join("\0")}\0`);
    const trip = native
      .createFiles(fields, this.#data.subarray(0, this.#filled), paths)
      .catch((reason: unknown) => {
        this.#error ??= { reason };
      })
      .finally(() => this.#trips.delete(trip));
    this.#trips.add(trip);
    this.#paths = [];
    this.#filled = 0;
  }
}
