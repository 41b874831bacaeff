/** What a pull tells of a layer: lines as Docker's clients draw them. */
import { shortId } from "../base/ids.ts";
import type { Descriptor } from "../oci/types.ts";
import type { Progress } from "./images.ts";

/** Milliseconds between two lines of one layer's progress. */
const INTERVAL = 100;

/**
 * The lines of one layer, in the order in which Docker tells them, though it is unpacked while it comes: downloading until it is all
 * there, extracting from then on.
 */
export class LayerLines {
  readonly #layer: Descriptor;
  readonly #tell: (line: Progress) => void;
  #told = 0;
  #state: "coming" | "here" | "done" = "coming";

  constructor(layer: Descriptor, tell: (line: Progress) => void) {
    this.#layer = layer;
    this.#tell = tell;
  }

  announce(): void {
    this.#say("Pulling fs layer");
  }

  exists(silent: boolean): void {
    this.#state = "done";
    if (!silent) this.#say("Already exists");
  }

  downloading(bytes: number): void {
    if (this.#state === "coming") this.#move("Downloading", bytes);
  }

  retrying(delay: number): void {
    if (delay >= 1000) this.#say(`Retrying in ${Math.ceil(delay / 1000)} seconds`);
  }

  downloaded(): void {
    if (this.#state !== "coming") return;
    this.#state = "here";
    this.#say("Verifying Checksum");
    this.#say("Download complete");
  }

  extracting(bytes: number): void {
    if (this.#state === "here") this.#move("Extracting", bytes);
  }

  complete(): void {
    if (this.#state !== "done") this.#say("Pull complete");
    this.#state = "done";
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
