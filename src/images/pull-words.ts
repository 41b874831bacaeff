/** What a pull tells: progress as Docker's clients draw it, and errors in Docker's words. */
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { shortId } from "../base/ids.ts";
import { familiarName, familiarRepository, type Reference } from "../oci/reference.ts";
import type { Descriptor } from "../oci/types.ts";
import type { Credentials } from "../remote/remote.ts";
import type { Progress } from "./images.ts";

/** Milliseconds between two lines of one layer's progress. */
const INTERVAL = 100;

/** The lines of one layer, in the order in which Docker tells them. */
export class LayerLines {
  readonly #layer: Descriptor;
  readonly #tell: (line: Progress) => void;
  #told = 0;
  #done = false;

  constructor(layer: Descriptor, tell: (line: Progress) => void) {
    this.#layer = layer;
    this.#tell = tell;
  }

  announce(): void {
    this.#say("Pulling fs layer");
  }

  exists(): void {
    this.#done = true;
    this.#say("Already exists");
  }

  downloading(bytes: number): void {
    this.#move("Downloading", bytes);
  }

  downloaded(): void {
    this.#say("Verifying Checksum");
    this.#say("Download complete");
  }

  extracting(bytes: number): void {
    if (!this.#done) this.#move("Extracting", bytes);
  }

  complete(): void {
    if (!this.#done) this.#say("Pull complete");
  }

  #say(status: string): void {
    this.#tell({ status, progressDetail: {}, id: shortId(this.#layer.digest) });
  }

  #move(status: string, current: number): void {
    const now = Date.now();
    if (now - this.#told < INTERVAL) return;
    this.#told = now;
    this.#tell({ status, progressDetail: { current, total: this.#layer.size }, id: shortId(this.#layer.digest) });
  }
}

/** Docker's texts for what a registry refuses. */
export function explainPull(error: unknown, reference: Reference, credentials: Credentials | undefined): unknown {
  const kind = errorKind(error);
  const text = errorMessage(error);
  const hint = error instanceof EngineError ? error.hint : undefined;
  if (kind === "not-found" && /^manifest unknown/.test(text))
    return new EngineError("not-found", `manifest for ${familiarName(reference)} not found: ${text}`, {
      hint,
      cause: error,
    });
  if ((kind === "forbidden" && /^denied/.test(text)) || (kind === "unauthorized" && credentials === undefined))
    return new EngineError(
      "not-found",
      `pull access denied for ${familiarRepository(reference)}, repository does not exist or may require 'docker login': ${text}`,
      { cause: error },
    );
  return error;
}
