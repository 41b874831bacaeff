/** Carries a container's lines from its log on the disk to a log service, as long as there are any. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { CursorFile } from "./cursor.ts";
import { readBatches } from "./entries.ts";
import { type Line, LineJoiner } from "./lines.ts";
import { Writers } from "./writers.ts";

/** How lines get to one log service. */
export interface Destination {
  /** Makes a new connection. Rejects when there is none to be had. */
  connect(signal: AbortSignal): Promise<Shipper>;
  /** Tries of one batch before it is given up; undefined: without end. */
  readonly maxTries?: number | undefined;
  /** Milliseconds before the second try; then twice as long each time, up to LONGEST_PAUSE. */
  readonly firstPause?: number | undefined;
}

/** A connection to a log service. */
export interface Shipper {
  /** Resolves when the service has the lines, as far as its protocol tells. Rejects when it is not sure: they are sent again. */
  send(lines: readonly Line[], signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface ForwarderOptions {
  /** The log. */
  readonly path: string;
  readonly cursorPath: string;
  readonly destination: Destination;
  readonly logger: Logger;
  /** What the log's lines are about, in the logger's words. */
  readonly fields: Readonly<Record<string, unknown>>;
}

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 30_000;

/** Begins at once. It ends by itself when the writers have ended and all was sent. */
export class Forwarder {
  /** Resolves when all was sent, or it was stopped; never rejects. */
  readonly done: Promise<void>;
  readonly #options: ForwarderOptions;
  readonly #cursor: CursorFile;
  readonly #writers = new Writers();
  readonly #stop = new AbortController();
  #destination: Destination;
  #shippedTo: Destination | undefined;
  #shipper: Shipper | undefined;
  #troubled = false;

  constructor(options: ForwarderOptions, ended: Promise<unknown>) {
    this.#options = options;
    this.#destination = options.destination;
    this.#cursor = new CursorFile(options.cursorPath);
    this.#writers.add(ended);
    this.done = this.#run().finally(() => this.#disconnect());
  }

  /** The service is out of reach. */
  get troubled(): boolean {
    return this.#troubled;
  }

  /** A further run writes the same log. Its lines go to `destination`, and so may the last ones of the run before. */
  goOn(ended: Promise<unknown>, destination: Destination): void {
    this.#writers.add(ended);
    this.#destination = destination;
  }

  /** Stops where it is; another forwarder goes on from there. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.done;
  }

  async #run(): Promise<void> {
    const { logger } = this.#options;
    try {
      // A run may begin in the moment in which the last one's lines were all sent.
      do await this.#carry();
      while (!this.#writers.over && !this.#stop.signal.aborted);
    } catch (error) {
      if (!this.#stop.signal.aborted) logger.log("error", "a log is no longer forwarded", this.#with(error));
    }
  }

  async #carry(): Promise<void> {
    const { path, logger, fields } = this.#options;
    const { signal } = this.#stop;
    const onGap = () => logger.log("warn", "lines were rotated away before their log service had them", fields);
    const joiner = new LineJoiner();
    const options = { from: this.#cursor.read(), writers: this.#writers, signal, onGap };
    for await (const { entries, next } of readBatches(path, options)) {
      if (!(await this.#deliver(joiner.join(entries)))) return;
      this.#cursor.write(next);
    }
  }

  /** False when it was stopped before. */
  async #deliver(lines: readonly Line[]): Promise<boolean> {
    const { signal } = this.#stop;
    for (let tries = 1; !signal.aborted; tries++)
      try {
        await this.#send(lines, signal);
        return true;
      } catch (error) {
        this.#disconnect();
        if (signal.aborted) return false;
        this.#complain(error);
        const { maxTries = Number.POSITIVE_INFINITY, firstPause = FIRST_PAUSE } = this.#destination;
        if (tries >= maxTries) return this.#giveUp(lines, error);
        const pause = Math.min(firstPause * 2 ** Math.min(tries - 1, 20), LONGEST_PAUSE);
        await sleep(pause, undefined, { signal }).catch(() => {});
      }
    return false;
  }

  async #send(lines: readonly Line[], signal: AbortSignal): Promise<void> {
    if (this.#shipper !== undefined && this.#shippedTo !== this.#destination) this.#disconnect();
    this.#shippedTo = this.#destination;
    this.#shipper ??= await this.#destination.connect(signal);
    await this.#shipper.send(lines, signal);
    if (this.#troubled) this.#options.logger.log("info", "a log service takes lines again", this.#options.fields);
    this.#troubled = false;
  }

  #giveUp(lines: readonly Line[], error: unknown): true {
    const fields = { ...this.#with(error), lines: lines.length };
    this.#options.logger.log("warn", "lines were given up that their log service did not take", fields);
    return true;
  }

  #complain(error: unknown): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#options.logger.log("warn", "a log service takes no lines; they wait on the disk", this.#with(error));
  }

  #with(error: unknown): Record<string, unknown> {
    return { ...this.#options.fields, error: errorMessage(error) };
  }

  #disconnect(): void {
    this.#shipper?.close();
    this.#shipper = undefined;
  }
}
