/** What only the client has, asked for over its connection: folders, archives, secrets, agents; and where products go. */
import type { Duplex, Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { EngineError } from "../../base/errors.ts";
import { bytesOf, type Mux } from "../../base/mux.ts";
import type { SecretSource, SshSource } from "../../builder/builder.ts";
import type { BuildAsk } from "../types/build.ts";

/** Bytes of a secret, as Docker has it. */
const MAX_SECRET = 500 * 1024;

export class Asked {
  readonly #mux: Mux;

  constructor(mux: Mux) {
    this.#mux = mux;
  }

  /** The lines of a folder's listing. */
  async *listing(context: string): AsyncGenerator<string> {
    let held = "";
    const decoder = new TextDecoder();
    for await (const chunk of bytesOf(this.#open({ ask: "listing", context }))) {
      const lines = (held + decoder.decode(chunk, { stream: true })).split("\n");
      held = lines.pop() ?? "";
      if (held.length > MAX_LINE) throw new EngineError("invalid", "the listing of the build context has no lines");
      yield* lines;
    }
    if (held !== "") yield held;
  }

  /** The bytes of some of a folder's files. */
  async *files(context: string, numbers: readonly number[]): AsyncGenerator<Uint8Array> {
    const channel = this.#open({ ask: "files", context });
    channel.end(JSON.stringify(numbers));
    yield* bytesOf(channel);
  }

  /** An archive; an error of the client's comes out of the stream. */
  tar(context: string): Readable {
    return this.#open({ ask: "tar", context });
  }

  secret(id: string): SecretSource {
    return {
      read: async (signal) => {
        const channel = this.#open({ ask: "secret", id }, signal);
        const parts: Buffer[] = [];
        let length = 0;
        for await (const part of bytesOf(channel)) {
          length += part.length;
          parts.push(part);
          if (length > MAX_SECRET)
            throw new EngineError(
              "too-large",
              `secret ${id} has more than ${MAX_SECRET} bytes, the most a secret may have`,
            );
        }
        channel.end();
        return Buffer.concat(parts);
      },
    };
  }

  ssh(id: string): SshSource {
    return { connect: (signal) => Promise.resolve(this.#open({ ask: "ssh", id }, signal)) };
  }

  /** Sends a product; resolves when the client has written it. */
  async export(index: number, product: Readable, signal: AbortSignal): Promise<void> {
    const channel = this.#open({ ask: "export", index }, signal);
    await pipeline(product, channel, { end: true, signal });
    for await (const _ of bytesOf(channel));
  }

  shell(signal: AbortSignal): Duplex {
    return this.#open({ ask: "shell" }, signal);
  }

  #open(ask: BuildAsk, signal?: AbortSignal): Duplex {
    const channel = this.#mux.open(ask);
    if (signal === undefined) return channel;
    const abort = () => channel.destroy(new EngineError("cancelled", "the build was cancelled"));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    void finished(channel)
      .catch(() => {})
      .finally(() => signal.removeEventListener("abort", abort));
    return channel;
  }
}

/** Characters of one line of a listing: two paths of 4096 bytes, escaped. */
const MAX_LINE = 64 << 10;
