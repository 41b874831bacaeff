import { addAbortSignal, type Readable } from "node:stream";
import type { Digest } from "../base/digest.ts";
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Slots } from "../base/slots.ts";
import type { Content } from "../content/content.ts";
import type { Events } from "../events/events.ts";
import type { Remote } from "../remote/remote.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Catalog } from "./catalog.ts";
import type { ImageUse, Lease } from "./images.ts";
import type { Leases } from "./leases.ts";
import type { Downloads } from "./pull-downloads.ts";
import type { Sizes } from "./sizes.ts";
import type { Sweeper } from "./sweep.ts";

/** What every operation of this module works with. */
export interface Workshop {
  readonly catalog: Catalog;
  readonly content: Content;
  readonly snapshots: Snapshots;
  readonly events: Events;
  readonly remote: Remote;
  readonly downloads: Downloads;
  /** Blobs on their way to registries, of all operations together. */
  readonly uploads: Slots;
  readonly leases: Leases;
  readonly sweeper: Sweeper;
  readonly sizes: Sizes;
  readonly uses: () => readonly ImageUse[];
  readonly logger: Logger;
}

/** Runs with a lease; afterwards, whether it failed or not, what it held and no image reaches is removed. */
export async function withLease<T>(shop: Workshop, work: (lease: Lease) => Promise<T>): Promise<T> {
  const lease = shop.leases.open();
  try {
    return await work(lease);
  } finally {
    const held = [...lease.digests];
    lease.release();
    await shop.sweeper.sweep({ blobs: held, layers: held }).catch((error: unknown) => {
      shop.logger.log("warn", "cleaning up after an image operation failed", { error: errorMessage(error) });
    });
  }
}

/** Publishes an image event as Docker does: the image's labels as attributes, and a name. */
export function publish(shop: Workshop, action: string, id: Digest, name: string): void {
  const labels = shop.catalog.image(id)?.image.config.config?.Labels;
  shop.events.publish({ type: "image", action, id, attributes: { ...labels, name } });
}

/** A stream from outside: it ends with the signal, and an error that comes before anybody reads waits for the reader. */
export function incoming(source: Readable, signal: AbortSignal | undefined): Readable {
  source.on("error", () => {});
  return signal === undefined ? source : addAbortSignal(signal, source);
}
