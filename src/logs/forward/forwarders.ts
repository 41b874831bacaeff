import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../base/log.ts";
import type { LogConfig, LogSubject } from "../logs.ts";
import { destinationOf, sinkOf } from "../sink.ts";
import { Forwarder } from "./forwarder.ts";

/** Milliseconds that a service gets to take what is left of a log before that is removed. */
const LAST_CHANCE = 10_000;

export interface Forwarded {
  readonly config: LogConfig;
  readonly folder: string;
  readonly subject: LogSubject;
}

/** One forwarder per log at a time. */
export class Forwarders {
  readonly #logger: Logger;
  readonly #byPath = new Map<string, Forwarder>();
  #closed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Nothing for a driver without a service. */
  add({ config, folder, subject }: Forwarded, ended: Promise<unknown>): void {
    const destination = destinationOf(config, subject, hostname());
    const { path, driver } = sinkOf(config, folder, subject.id);
    if (destination === undefined || path === undefined || this.#closed) return;
    const known = this.#byPath.get(path);
    if (known !== undefined) {
      known.goOn(ended, destination);
      return;
    }
    const fields = { container: subject.id, driver };
    const forwarder = new Forwarder(
      { path, cursorPath: cursorPath(path), destination, logger: this.#logger, fields },
      ended,
    );
    this.#byPath.set(path, forwarder);
    void forwarder.done.then(() => this.#byPath.delete(path));
  }

  /** Ends the forwarder of a log whose writers have ended. */
  async finish(path: string): Promise<void> {
    const forwarder = this.#byPath.get(path);
    if (forwarder === undefined) return;
    const patience = new AbortController();
    const late = sleep(forwarder.troubled ? 0 : LAST_CHANCE, "late", { signal: patience.signal }).catch(() => {});
    const outcome = await Promise.race([forwarder.done, late]);
    patience.abort();
    if (outcome === "late") this.#logger.log("warn", "a log is removed before its service had all of it", { path });
    await forwarder.stop();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#byPath.values()].map((forwarder) => forwarder.stop()));
  }
}

function cursorPath(path: string): string {
  return `${path}.sent`;
}
