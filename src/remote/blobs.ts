import { EngineError } from "../base/errors.ts";
import type { Descriptor } from "../oci/types.ts";
import { explainFailure, type HttpAnswer } from "./http.ts";
import { registryError } from "./registry-error.ts";
import type { BlobSink, FetchOptions } from "./remote.ts";
import { delayBefore, isTransient, pause } from "./retry.ts";

/** Asks for the blob's bytes from `start` on. */
export type OpenBlob = (
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
) => Promise<HttpAnswer>;

/** Attempts in all, for a registry that cuts again and again after a few bytes. */
const MOST_ATTEMPTS = 2000;

/** Where a blob's sink has got to, whichever endpoint its bytes come from. */
export class BlobTransfer {
  readonly blob: Descriptor;
  readonly #sink: BlobSink;
  readonly #options: FetchOptions & { readonly attempts: number };
  #position: number;

  constructor(blob: Descriptor, sink: BlobSink, options: FetchOptions & { readonly attempts: number }) {
    this.blob = blob;
    this.#sink = sink;
    this.#options = options;
    this.#position = sink.offset;
  }

  /** Until it is whole, or this source fails for good. */
  async from(open: OpenBlob): Promise<void> {
    const { attempts, signal, onRetry } = this.#options;
    let [inVain, reached] = [0, false];
    for (let attempt = 0; this.#position < this.blob.size; attempt++) {
      const before = this.#position;
      try {
        await this.#attempt(open, () => {
          reached = true;
        });
      } catch (error) {
        inVain = this.#position > before ? 0 : inVain + 1;
        const again = inVain < attempts && attempt < MOST_ATTEMPTS && isTransient(error, reached);
        if (!again || signal?.aborted === true) throw error;
        const delay = this.#position > before ? 0 : delayBefore(inVain - 1, error);
        onRetry?.(delay, error);
        await pause(delay, signal);
      }
    }
  }

  async #attempt(open: OpenBlob, onAnswer: () => void): Promise<void> {
    const range = this.#position > 0 ? { Range: `bytes=${this.#position}-` } : {};
    const answer = await open({ "Accept-Encoding": "identity", ...range }, this.#options.signal);
    onAnswer();
    const skip = await this.#startOf(answer);
    try {
      await this.#copy(answer, skip);
    } catch (error) {
      answer.body.destroy();
      throw explainFailure(error, answer.url);
    }
  }

  /** How many bytes of the body we have already. */
  async #startOf(answer: HttpAnswer): Promise<number> {
    const { status, headers, url } = answer;
    if (status !== 200 && status !== 206) throw await registryError(answer, `reading blob ${this.blob.digest}`);
    const coding = headers["content-encoding"] ?? "identity";
    const start = status === 200 ? 0 : rangeStart(headers["content-range"]);
    const length = headers["content-length"];
    const problem =
      coding !== "identity"
        ? `has the content encoding ${coding}, which was not asked for`
        : start === undefined || start > this.#position
          ? `has the range ${JSON.stringify(headers["content-range"] ?? "")}, asked for was ${this.#position} on`
          : length !== undefined && status === 200 && Number(length) !== this.blob.size
            ? `has ${length} bytes, its manifest says ${this.blob.size}`
            : undefined;
    if (problem === undefined) return this.#position - (start ?? 0);
    answer.body.destroy();
    throw new EngineError("invalid", `blob ${this.blob.digest} of ${url.host} ${problem}`);
  }

  async #copy({ body, url }: HttpAnswer, skip: number): Promise<void> {
    let left = skip;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const fresh = left === 0 ? chunk : chunk.subarray(left);
      left = Math.max(0, left - chunk.length);
      if (fresh.length === 0) continue;
      if (this.#position + fresh.length > this.blob.size)
        throw new EngineError(
          "invalid",
          `blob ${this.blob.digest} of ${url.host} is longer than the ${this.blob.size} bytes that its manifest says`,
        );
      const { length } = fresh;
      await this.#sink.write(fresh);
      this.#position += length;
    }
    if (this.#position < this.blob.size) throw cutOff();
  }
}

/** A body without a length that ends early looks whole. */
function cutOff(): Error {
  return Object.assign(new Error("the answer ended early"), { code: "UND_ERR_SOCKET" });
}

function rangeStart(header: string | undefined): number | undefined {
  const start = /^bytes (\d+)-/.exec(header ?? "")?.[1];
  return start === undefined ? undefined : Number(start);
}
