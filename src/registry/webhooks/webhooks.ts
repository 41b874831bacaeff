import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { type Happening, makeEvent } from "./events.ts";
import { type Deliveries, type WebhookConfig, WebhookQueue } from "./queue.ts";

/** Tells every webhook that wants it what happened. */
export class Webhooks {
  readonly #queues: readonly WebhookQueue[];
  readonly #logger: Logger;

  private constructor(queues: readonly WebhookQueue[], logger: Logger) {
    this.#queues = queues;
    this.#logger = logger;
  }

  static async open(
    configs: readonly WebhookConfig[],
    parts: { readonly folder: string; readonly logger: Logger },
  ): Promise<Webhooks> {
    const queues = configs.map((config) => new WebhookQueue(config, parts));
    await Promise.all(queues.map((queue) => queue.open()));
    return new Webhooks(queues, parts.logger);
  }

  /** Post-condition: it is written down for all who want it. What happened is not undone when that fails; it is logged. */
  async tell(happening: Happening): Promise<void> {
    if (this.#queues.length === 0) return;
    const event = makeEvent(happening);
    try {
      for (const queue of this.#queues) if (queue.wants(event)) await queue.add(event);
    } catch (error) {
      this.#logger.log("error", "a webhook's event was lost", { error: errorMessage(error) });
    }
  }

  get waiting(): number {
    return this.#queues.reduce((sum, { length }) => sum + length, 0);
  }

  get deliveries(): Deliveries {
    const sum = (key: keyof Deliveries) => this.#queues.reduce((total, { counts }) => total + counts[key], 0);
    return { delivered: sum("delivered"), failed: sum("failed"), dropped: sum("dropped") };
  }

  async close(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.close()));
  }
}
