import type { EventMessage } from "../api/types/system.ts";
import { EngineError } from "../base/errors.ts";
import type { EventInput, EventQuery, Events } from "./events.ts";
import { Journal } from "./journal.ts";
import { EVENT_FILTERS, matches } from "./match.ts";

/** A listener this far behind is cut off: one that never reads costs no more than this. */
const MAX_BEHIND = 1024;

/** Opens the bus over the journal at `journalPath`. */
export function openEvents(journalPath: string): Events & { close(): void } {
  return new Bus(new Journal(journalPath));
}

class Bus implements Events {
  readonly #journal: Journal;
  readonly #listeners = new Set<Listener>();
  #last = 0n;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  publish(input: EventInput): void {
    const event = this.#stamp(input);
    try {
      this.#journal.append(event);
    } catch {
      // A full disk must not stop what the event tells of.
    }
    for (const listener of this.#listeners) listener.push(event);
  }

  subscribe(query: EventQuery): AsyncIterable<EventMessage> {
    for (const name of Object.keys(query.filters))
      if (!EVENT_FILTERS.includes(name)) throw new EngineError("invalid", `invalid filter '${name}'`);
    // From here on, not from the first read: nothing between the two is missed.
    const listener = new Listener(query);
    this.#listeners.add(listener);
    const past = query.since === undefined ? [] : this.#journal.read(query.since);
    return this.#deliver(query, past, listener);
  }

  close(): void {
    for (const listener of this.#listeners) listener.end();
    this.#journal.close();
  }

  async *#deliver(query: EventQuery, past: readonly EventMessage[], listener: Listener): AsyncGenerator<EventMessage> {
    try {
      for (const event of past) {
        if (query.until !== undefined && BigInt(event.timeNano) > query.until) return;
        if (matches(event, query.filters)) yield event;
      }
      yield* listener.events();
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Times never go backwards nor repeat, so that `since` the last one seen finds what follows. */
  #stamp({ type, action, id, attributes = {} }: EventInput): EventMessage {
    const now = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
    this.#last = now > this.#last ? now : this.#last + 1000n;
    return {
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: { ...attributes } },
      scope: "local",
      time: Number(this.#last / 1_000_000_000n),
      timeNano: Number(this.#last),
    };
  }
}

class Listener {
  readonly #query: EventQuery;
  readonly #queue: EventMessage[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(query: EventQuery) {
    this.#query = query;
  }

  push(event: EventMessage): void {
    if (this.#ended || !matches(event, this.#query.filters)) return;
    if (this.#queue.length >= MAX_BEHIND) this.#ended = true;
    else this.#queue.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *events(): AsyncGenerator<EventMessage> {
    const { signal, until } = this.#query;
    const end = () => this.end();
    const timer = until === undefined ? undefined : endAt(until, end);
    if (signal?.aborted) return;
    signal?.addEventListener("abort", end, { once: true });
    try {
      for (;;) {
        const event = this.#queue.shift();
        if (event !== undefined) yield event;
        else if (this.#ended) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  }
}

/** setTimeout takes at most 2^31 ms, so a far end is waited for in steps. */
function endAt(until: bigint, end: () => void): NodeJS.Timeout {
  const left = Number(until / 1_000_000n) - Date.now();
  const timer = setTimeout(left > 0x7fffffff ? () => endAt(until, end) : end, Math.min(Math.max(left, 0), 0x7fffffff));
  timer.unref();
  return timer;
}
