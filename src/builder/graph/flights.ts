import type { OpContext } from "./graph.ts";
import { cancelled } from "./slots.ts";

/** What late comers are told of a step's output. Bytes. */
const REMEMBERED = 1 << 20;

type Note = (context: OpContext) => void;

/** Work that several builds may wait for. It is stopped when the last of them goes. */
interface Flight<S> {
  readonly done: Promise<S>;
  readonly stop: AbortController;
  readonly listeners: Set<OpContext>;
  /** Whose inputs it works with. */
  readonly starter: OpContext;
  /** What was said so far, oldest first. */
  readonly notes: Note[];
  bytes: number;
}

/** Equal steps of concurrent builds run once. */
export class Flights<S> {
  readonly #flights = new Map<string, Flight<S>>();

  /** Joins the work under way for this key, or starts it. The caller's signal ends only the caller's waiting. */
  async join(key: string, context: OpContext, start: (context: OpContext) => Promise<S>): Promise<S> {
    if (context.signal.aborted) throw cancelled(context.signal);
    const flight = this.#flights.get(key) ?? this.#start(key, context, start);
    for (const note of flight.notes) note(context);
    flight.listeners.add(context);
    const { promise, reject } = Promise.withResolvers<never>();
    const leave = () => reject(cancelled(context.signal));
    context.signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([flight.done, promise]);
    } catch (error) {
      // The last one waits until what it stopped has ended, so that nothing is left behind.
      flight.listeners.delete(context);
      if (context.signal.aborted && flight.listeners.size === 0) {
        flight.stop.abort(context.signal.reason);
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        await flight.done.catch(() => {});
      }
      // It may have failed because what it worked with went with the build that began it.
      if (!context.signal.aborted && flight.starter !== context && flight.starter.signal.aborted)
        return await this.join(key, context, start);
      throw error;
    } finally {
      context.signal.removeEventListener("abort", leave);
      flight.listeners.delete(context);
    }
  }

  #start(key: string, starter: OpContext, start: (context: OpContext) => Promise<S>): Flight<S> {
    const stop = new AbortController();
    const notes: Note[] = [];
    const listeners = new Set<OpContext>();
    const tell = (note: Note, bytes: number) => {
      flight.bytes += bytes;
      if (flight.bytes <= REMEMBERED) notes.push(note);
      for (const listener of listeners) note(listener);
    };
    const context: OpContext = {
      signal: stop.signal,
      log: (stream, data) => tell((to) => to.log(stream, data), data.length),
      transfer: (transfer) => tell((to) => to.transfer(transfer), 64),
      container: (id) => tell((to) => to.container(id), 64),
    };
    // Begins in the next turn, when the flight is known.
    const done = Promise.resolve().then(() => start(context));
    const flight: Flight<S> = { done, stop, starter, listeners, notes, bytes: 0 };
    this.#flights.set(key, flight);
    done
      .catch(() => {})
      .finally(() => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
      });
    return flight;
  }
}
