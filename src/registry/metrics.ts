/** What the registry counts, for Prometheus. */
import type { Socket } from "node:net";
import { Counter, expose, family, Histogram } from "../base/exposition.ts";
import type { Collected } from "./gc/collect.ts";
import type { Deliveries } from "./webhooks/queue.ts";

export interface Observed {
  /** The endpoint's name; one of few. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
  readonly socket: Socket;
}

/** What is looked at when somebody asks. */
export interface Gauges {
  /** Uploads that have begun and are not finished. */
  readonly uploads: number;
  readonly webhooksWaiting: number;
  readonly deliveries: Deliveries;
  readonly cache: { readonly hits: number; readonly misses: number };
}

const PREFIX = "gantry_registry_";
/** Seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300];
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);

export class Metrics {
  readonly #requests = new Counter(`${PREFIX}requests_total`, "Requests that were answered");
  readonly #durations = new Histogram(
    `${PREFIX}request_duration_seconds`,
    "From a request's headers to the end of its answer",
    BUCKETS,
  );
  readonly #collections = new Counter(`${PREFIX}collections_total`, "Collections of what nobody reaches");
  readonly #collected = new Counter(`${PREFIX}collected_total`, "What collections took away");
  readonly #freed = new Counter(`${PREFIX}collected_bytes_total`, "Bytes that collections freed");
  /** What was counted of each connection already. */
  readonly #seen = new WeakMap<Socket, { readonly read: number; readonly written: number }>();
  readonly #startedAt = Date.now() / 1000;
  #inFlight = 0;
  #received = 0;
  #sent = 0;

  begin(): void {
    this.#inFlight += 1;
  }

  end({ route, method, status, seconds, socket }: Observed): void {
    this.#inFlight -= 1;
    this.#requests.add({ route, method: METHODS.has(method) ? method : "other", status: String(status) });
    this.#durations.observe(seconds, { route });
    const { bytesRead: read, bytesWritten: written } = socket;
    const before = this.#seen.get(socket) ?? { read: 0, written: 0 };
    this.#received += read - before.read;
    this.#sent += written - before.written;
    this.#seen.set(socket, { read, written });
  }

  collected({ bytes, ...things }: Collected): void {
    this.#collections.add();
    this.#freed.add({}, bytes);
    for (const [what, count] of Object.entries(things)) this.#collected.add({ what }, count);
  }

  render({ uploads, webhooksWaiting, deliveries, cache }: Gauges): string {
    const { user, system } = process.cpuUsage();
    const hits = Object.entries({ hit: cache.hits, miss: cache.misses }).map(
      ([result, count]) => [{ result }, count] as const,
    );
    const events = Object.entries(deliveries).map(([outcome, count]) => [{ outcome }, count] as const);
    return expose([
      this.#requests.read(),
      this.#durations.read(),
      family(`${PREFIX}requests_in_flight`, "gauge", "Requests that are being answered", this.#inFlight),
      family(`${PREFIX}received_bytes_total`, "counter", "Bytes received, headers too", this.#received),
      family(`${PREFIX}sent_bytes_total`, "counter", "Bytes sent, headers too", this.#sent),
      family(`${PREFIX}uploads_open`, "gauge", "Uploads that have begun and are not finished", uploads),
      family(`${PREFIX}cache_requests_total`, "counter", "What was asked of copies, by whether the cache had it", hits),
      this.#collections.read(),
      this.#collected.read(),
      this.#freed.read(),
      family(`${PREFIX}webhook_events_total`, "counter", "Events that were told, and attempts that failed", events),
      family(`${PREFIX}webhook_events_waiting`, "gauge", "Events that were not taken yet", webhooksWaiting),
      family("process_cpu_seconds_total", "counter", "CPU time of the process", (user + system) / 1e6),
      family("process_resident_memory_bytes", "gauge", "Memory of the process", process.memoryUsage.rss()),
      family("process_start_time_seconds", "gauge", "When the registry was opened", this.#startedAt),
    ]);
  }
}
