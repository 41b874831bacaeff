/** From a request's body to a file: hashed while it comes, written in large pieces, never more than a few of them in memory. */

import type { Hash } from "node:crypto";
import { writev } from "node:fs";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { EngineError } from "../../base/errors.ts";
import { releaseMemory } from "../../base/release.ts";

const writeAll = promisify(writev);

/** Bytes that wait to be written before the source is paused. */
const HIGH_WATER = 4 << 20;

export interface Target {
  readonly fd: number;
  /** Where the first byte goes. */
  readonly position: number;
  readonly hash: Hash | undefined;
  /** Told of what is in the file. */
  readonly written: (bytes: number) => void;
  /** Told of what has come; may throw to end it. */
  readonly arrived?: ((bytes: number) => void) | undefined;
}

/**
 * Post-condition: all of the source is in the file, from the position on. Rejects with "cancelled" when the source ends too soon, and with
 * what went wrong otherwise; `written` has been told of what is in the file then.
 */
export function receive(source: Readable, target: Target): Promise<void> {
  return new Promise((resolve, reject) => new Receiver(source, target, resolve, reject));
}

function gone(): EngineError {
  return new EngineError("cancelled", "the client went away before the end of the body");
}

class Receiver {
  readonly #source: Readable;
  readonly #target: Target;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #position: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #writing = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(source: Readable, target: Target, resolve: () => void, reject: (error: unknown) => void) {
    this.#source = source;
    this.#target = target;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#position = target.position;
    // It may have waited for its turn: an end that is over is not told again.
    if (source.destroyed && !source.readableEnded) {
      this.#fail(gone());
      return;
    }
    source
      .on("data", (chunk: Buffer) => this.#take(chunk))
      .on("end", () => this.#end())
      .on("error", (error) => this.#fail(error))
      .on("close", () => {
        if (!this.#ended) this.#fail(gone());
      });
  }

  #take(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      this.#target.arrived?.(chunk.length);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#target.hash?.update(chunk);
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > HIGH_WATER) this.#source.pause();
    if (!this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#waitingBytes > 0) {
        const [batch, bytes] = [this.#waiting, this.#waitingBytes];
        this.#waiting = [];
        this.#waitingBytes = 0;
        if (this.#failure === undefined) this.#source.resume();
        await this.#writeBatch(batch, bytes);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#writing = false;
    this.#settle();
  }

  async #writeBatch(batch: Buffer[], bytes: number): Promise<void> {
    for (let left = batch; bytes > 0; ) {
      const { bytesWritten } = await writeAll(this.#target.fd, left, this.#position);
      this.#position += bytesWritten;
      bytes -= bytesWritten;
      this.#target.written(bytesWritten);
      if (bytes > 0) left = [Buffer.concat(left).subarray(bytesWritten)];
    }
    for (const chunk of batch) releaseMemory(chunk);
  }

  #end(): void {
    this.#ended = true;
    if (!this.#writing) this.#settle();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#source.pause();
    if (!this.#writing) this.#settle();
  }

  #settle(): void {
    if (this.#failure !== undefined) this.#reject(this.#failure.error);
    else if (this.#ended) this.#resolve();
  }
}
