/** The bus: everything that happens, told once, in order, to whoever listens; with a journal for `--since`. */
import type { EventMessage } from "../api/types/system.ts";

export type EventType = "container" | "image" | "network" | "volume" | "daemon" | "builder" | "plugin";

export interface EventInput {
  readonly type: EventType;
  readonly action: string;
  readonly id: string;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

export interface EventQuery {
  /** Nanoseconds since the epoch. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  /** Docker's event filters: container, daemon, event, image, label, network, type, volume, scope. */
  readonly filters: Readonly<Record<string, readonly string[]>>;
  readonly signal?: AbortSignal | undefined;
}

export interface Events {
  /** Publishes at once and synchronously; never throws, never waits for a listener. */
  publish(event: EventInput): void;
  /** Replays the journal from `since`, then goes on live until `until` or the signal. A listener that falls more than 1024 events behind is cut off. */
  subscribe(query: EventQuery): AsyncIterable<EventMessage>;
  readonly listeners: number;
}
