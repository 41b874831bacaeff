/** A blob that is arriving from an upstream: one download, any number of clients that are sent what is there so far. */
import { once } from "node:events";
import { type FileHandle, open } from "node:fs/promises";
import { PassThrough } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { algorithmOf } from "../names.ts";
import type { Storage } from "../storage/open.ts";
import type { BlobTarget } from "./upstream.ts";

export interface FillParts {
  readonly storage: Storage;
  /** The repository here. */
  readonly name: string;
  readonly digest: Digest;
  readonly size: number;
  /** Has the target given the blob's bytes. */
  readonly fetch: (target: BlobTarget, signal: AbortSignal) => Promise<void>;
}

/** Bytes between the upstream and the file. */
const BUFFER = 1 << 20;

export class Fill {
  readonly size: number;
  /** Settles when the blob is the repository's, or cannot be. */
  readonly finished: Promise<void>;
  readonly #parts: FillParts;
  readonly #gone = new AbortController();
  #id = "";
  #arrived = 0;
  #state: "arriving" | "whole" | { readonly error: unknown } = "arriving";
  #clients = 0;
  #wake = Promise.withResolvers<void>();

  /** Resolves when clients can join. */
  static async start(parts: FillParts): Promise<Fill> {
    const id = await parts.storage.uploads.start(parts.name, algorithmOf(parts.digest), parts.size);
    return new Fill(parts, id);
  }

  private constructor(parts: FillParts, id: string) {
    this.#parts = parts;
    this.#id = id;
    this.size = parts.size;
    this.finished = this.#run();
    this.finished.catch(() => {});
  }

  /** All clients have left; nobody can join any more. */
  get abandoned(): boolean {
    return this.#gone.signal.aborted;
  }

  /** What a client reads from; closing it leaves. When all have left before the end, the download is given up. */
  async join(): Promise<FillReader> {
    this.#clients += 1;
    try {
      const { storage, name, digest } = this.#parts;
      const file = await open(storage.layout.upload(this.#id, name), "r").catch(() =>
        open(storage.layout.blob(digest), "r"),
      );
      return new FillReader(this, file, () => this.#leave());
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  /** Resolves with how many bytes may be sent: more than `than`. The last byte waits until all are verified. Rejects with "cancelled" once `reader` has left. */
  async available(than: number, reader: { readonly left: boolean }): Promise<number> {
    for (;;) {
      if (reader.left) throw new EngineError("cancelled", "the client went away");
      if (typeof this.#state === "object") throw this.#state.error;
      const sendable = this.#state === "whole" ? this.size : Math.min(this.#arrived, this.size - 1);
      if (sendable > than) return sendable;
      await this.#wake.promise;
    }
  }

  async #run(): Promise<void> {
    const { storage, name, digest } = this.#parts;
    const id = this.#id;
    try {
      await this.#download(id);
      const link = (size: number) => storage.repositories.linkHeldBlob(name, digest, size);
      await storage.uploads.finish(name, id, digest, link);
      this.#state = "whole";
    } catch (error) {
      this.#state = { error };
      await storage.uploads.cancel(name, id).catch(() => {});
      throw error;
    } finally {
      this.#stir();
    }
  }

  async #download(id: string): Promise<void> {
    const { storage, name, size, fetch } = this.#parts;
    const body = new PassThrough({ highWaterMark: BUFFER });
    const written = (bytes: number) => {
      this.#arrived = bytes;
      this.#stir();
    };
    const storing = storage.uploads.append(name, id, { body, length: size, written });
    const write = async (chunk: Uint8Array) => {
      if (!body.write(chunk)) await once(body, "drain", { signal: this.#gone.signal });
    };
    const fetching = fetch({ write }, this.#gone.signal).then(
      () => void body.end(),
      (error) => void body.destroy(error instanceof Error ? error : new EngineError("unavailable", String(error))),
    );
    await Promise.all([storing, fetching]);
  }

  #leave(): void {
    this.#stir();
    this.#clients -= 1;
    if (this.#clients === 0 && this.#state === "arriving") this.#gone.abort();
  }

  #stir(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

export class FillReader implements AsyncDisposable {
  readonly #fill: Fill;
  readonly #file: FileHandle;
  readonly #onLeave: () => void;
  left = false;

  constructor(fill: Fill, file: FileHandle, onLeave: () => void) {
    this.#fill = fill;
    this.#file = file;
    this.#onLeave = onLeave;
  }

  get size(): number {
    return this.#fill.size;
  }

  /** As of a file that has all of its bytes: waits for those that have not come. */
  async read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }> {
    if (position >= this.#fill.size) return { bytesRead: 0 };
    const there = await this.#fill.available(position, this);
    return await this.#file.read(buffer, offset, Math.min(length, there - position), position);
  }

  /** Ends waiting reads. Idempotent. */
  leave(): void {
    if (this.left) return;
    this.left = true;
    this.#onLeave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave();
    await this.#file.close();
  }
}
