/**
 * What one URL is yet to be told: files, so that the next process goes on; delivered in their order, again and again until they are
 * taken, too old, or too many.
 */
import { createHash, createHmac } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { namesIn, whenThere } from "../storage/files.ts";
import type { RegistryEvent } from "./events.ts";

export interface WebhookConfig {
  readonly url: string;
  /** Default: both. */
  readonly events?: readonly RegistryEvent["action"][] | undefined;
  /** Default: all. */
  readonly repositories?: readonly RegExp[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Signs the body: X-Gantry-Signature is "sha256=" and the HMAC in hex. */
  readonly secret?: string | undefined;
  /** Milliseconds for an answer. Default 10 s. */
  readonly timeout?: number | undefined;
  /** Milliseconds before the second attempt, doubled each time up to five minutes. Default 1 s. */
  readonly backoff?: number | undefined;
  /** Milliseconds after which an event is given up. Default a day. */
  readonly giveUp?: number | undefined;
  /** Events that wait at most; the oldest go first. Default 1000. */
  readonly queue?: number | undefined;
}

const BACKOFF = 1_000;
const LONGEST_BACKOFF = 5 * 60_000;
const GIVE_UP = 24 * 3600_000;
const TIMEOUT = 10_000;
const QUEUE = 1_000;
const MEDIA_TYPE = "application/vnd.docker.distribution.events.v2+json";

export interface Deliveries {
  readonly delivered: number;
  readonly failed: number;
  readonly dropped: number;
}

export class WebhookQueue {
  readonly #config: WebhookConfig;
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  /** File names, oldest first. */
  #waiting: string[] = [];
  #working: Promise<void> | undefined;
  #count = 0;
  counts = { delivered: 0, failed: 0, dropped: 0 };

  constructor(config: WebhookConfig, { folder, logger }: { readonly folder: string; readonly logger: Logger }) {
    this.#config = config;
    this.#folder = join(folder, createHash("sha256").update(config.url).digest("hex").slice(0, 16));
    this.#logger = logger;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Takes up what an earlier process left. */
  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    this.#waiting = (await namesIn(this.#folder)).filter((name) => name.endsWith(".json")).sort();
    this.#work();
  }

  wants({ action, target }: RegistryEvent): boolean {
    const { events, repositories } = this.#config;
    const isMeant = repositories?.some((pattern) => pattern.test(target.repository)) ?? true;
    return isMeant && (events?.includes(action) ?? true);
  }

  /** Post-condition: it is told, as soon as it can be, also when this process ends. */
  async add(event: RegistryEvent): Promise<void> {
    const name = `${String(Date.now()).padStart(15, "0")}-${String(this.#count++).padStart(9, "0")}-${event.id}.json`;
    await writeFile(join(this.#folder, `${name}.new`), JSON.stringify({ events: [event] }));
    await rename(join(this.#folder, `${name}.new`), join(this.#folder, name));
    this.#waiting.push(name);
    // The first may be on its way.
    for (; this.#waiting.length > (this.#config.queue ?? QUEUE); this.counts.dropped++)
      await this.#drop(this.#waiting[1] ?? name);
    this.#work();
  }

  /** Leaves what waits to the next process. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#working;
  }

  #work(): void {
    this.#working ??= this.#deliverAll().finally(() => {
      this.#working = undefined;
    });
  }

  async #deliverAll(): Promise<void> {
    for (let name = this.#waiting[0]; name !== undefined && !this.#closing.signal.aborted; name = this.#waiting[0]) {
      const body = await whenThere(readFile(join(this.#folder, name), "utf8"));
      const outcome = body === undefined ? "dropped" : await this.#insist(body, Number(name.slice(0, 15)));
      if (outcome === "closing") return;
      this.counts[outcome] += 1;
      await this.#drop(name);
    }
  }

  async #insist(body: string, since: number): Promise<"delivered" | "dropped" | "closing"> {
    const { backoff = BACKOFF, giveUp = GIVE_UP } = this.#config;
    for (let delay = backoff; !this.#closing.signal.aborted; delay = Math.min(delay * 2, LONGEST_BACKOFF)) {
      try {
        await this.#deliver(body);
        return "delivered";
      } catch (error) {
        if (this.#closing.signal.aborted) break;
        this.counts.failed += 1;
        const isOver = Date.now() - since >= giveUp;
        this.#logger.log(isOver ? "error" : "warn", isOver ? "webhook given up" : "webhook not taken", {
          url: this.#config.url,
          error: errorMessage(error),
        });
        if (isOver) return "dropped";
      }
      await sleep(delay, this.#closing.signal);
    }
    return "closing";
  }

  async #deliver(body: string): Promise<void> {
    const { url, headers, secret, timeout = TIMEOUT } = this.#config;
    const signature = secret === undefined ? undefined : createHmac("sha256", secret).update(body).digest("hex");
    const answer = await fetch(url, {
      method: "POST",
      body,
      redirect: "manual",
      signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeout)]),
      headers: {
        ...headers,
        "Content-Type": MEDIA_TYPE,
        ...(signature !== undefined && { "X-Gantry-Signature": `sha256=${signature}` }),
      },
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  }

  async #drop(name: string): Promise<void> {
    this.#waiting = this.#waiting.filter((other) => other !== name);
    await rm(join(this.#folder, name), { force: true });
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    timer.unref();
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
