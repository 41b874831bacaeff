/** What a push tells: lines as Docker's clients draw them. */
import { shortId } from "../base/ids.ts";
import type { Descriptor } from "../oci/types.ts";
import type { Sent } from "../remote/remote.ts";
import type { Progress } from "./images.ts";

/** Milliseconds between two lines of one blob. */
const INTERVAL = 100;

export class PushLines {
  readonly #tell: (line: Progress) => void;
  readonly #told = new Map<string, number>();

  constructor(tell: (line: Progress) => void) {
    this.#tell = tell;
  }

  preparing(blob: Descriptor): void {
    if (isShown(blob)) this.#say(blob, "Preparing");
  }

  compressing(blob: Descriptor, bytes: number): void {
    this.#move(blob, "Compressing", bytes);
  }

  pushing(blob: Descriptor, bytes: number): void {
    if (isShown(blob)) this.#move(blob, "Pushing", bytes);
  }

  done(blob: Descriptor, sent: Sent): void {
    if (!isShown(blob)) return;
    const texts = { exists: "Layer already exists", sent: "Pushed" };
    this.#say(blob, sent.how === "mounted" ? `Mounted from ${sent.from}` : texts[sent.how]);
  }

  #say({ digest }: Descriptor, status: string): void {
    this.#tell({ status, progressDetail: {}, id: shortId(digest) });
  }

  #move({ digest, size }: Descriptor, status: string, current: number): void {
    const now = Date.now();
    if (now - (this.#told.get(digest) ?? 0) < INTERVAL) return;
    this.#told.set(digest, now);
    this.#tell({ status, progressDetail: { current: Math.min(current, size), total: size }, id: shortId(digest) });
  }
}

/** Configurations are not layers: Docker does not show them. */
function isShown({ mediaType }: Descriptor): boolean {
  return !/config|container\.image|empty/.test(mediaType);
}

/** Docker's note that one platform went in place of the index it is part of. */
export function insteadNote(index: Descriptor, manifest: Descriptor): Progress {
  return { aux: { manifestPushedInsteadOfIndex: true, originalIndex: index, selectedManifest: manifest } };
}
