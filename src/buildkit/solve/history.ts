/** The builds of this daemon's life: `buildx history`. */
import { EventEmitter, on } from "node:events";
import { type HistoryRecord, timestamp } from "../wire/control.ts";
import type { StatusPart } from "../wire/status.ts";
import type { Job } from "./jobs.ts";

/** Builds that are remembered, the last ones. */
const MAX_RECORDS = 50;

const STARTED = 0;
const COMPLETE = 1;
const DELETED = 2;

export interface HistoryEvent {
  readonly type: number;
  readonly record: HistoryRecord;
}

interface Entry {
  readonly job: Job;
  error?: StatusPart | undefined;
  pinned: boolean;
  generation: number;
}

export class History {
  readonly #entries = new Map<string, Entry>();
  readonly #changes = new EventEmitter().setMaxListeners(0);

  begin(job: Job): void {
    const entry = { job, pinned: false, generation: 1 };
    this.#entries.set(job.request.ref, entry);
    for (const [ref, { pinned }] of this.#entries) {
      if (this.#entries.size <= MAX_RECORDS) break;
      if (!pinned && ref !== job.request.ref) this.remove(ref);
    }
    this.#tell(STARTED, entry);
  }

  end(job: Job, error: StatusPart | undefined): void {
    const entry = this.#entries.get(job.request.ref);
    if (entry === undefined) return;
    entry.error = error;
    entry.generation++;
    this.#tell(COMPLETE, entry);
  }

  job(ref: string): Job | undefined {
    return this.#entries.get(ref)?.job;
  }

  /** Whether there was such a build. */
  update(ref: string, change: { readonly pinned: boolean; readonly delete: boolean }): boolean {
    const entry = this.#entries.get(ref);
    if (entry === undefined) return false;
    if (change.delete) this.remove(ref);
    else {
      entry.pinned = change.pinned;
      entry.generation++;
      this.#tell(entry.job.completedAt === undefined ? STARTED : COMPLETE, entry);
    }
    return true;
  }

  remove(ref: string): void {
    const entry = this.#entries.get(ref);
    if (entry !== undefined && this.#entries.delete(ref)) this.#tell(DELETED, entry);
  }

  /** What there is, the newest last; without `exit` what comes too. */
  async *listen(
    wish: { readonly ref: string; readonly activeOnly: boolean; readonly exit: boolean; readonly limit: number },
    signal: AbortSignal,
  ): AsyncGenerator<HistoryEvent> {
    const wanted = (record: HistoryRecord) => wish.ref === "" || record.ref === wish.ref;
    const changes = on(this.#changes, "change", { signal });
    const now = [...this.#entries.values()].filter(
      ({ job }) =>
        (wish.ref === "" || job.request.ref === wish.ref) && (!wish.activeOnly || job.completedAt === undefined),
    );
    for (const entry of wish.limit > 0 ? now.slice(-wish.limit) : now)
      yield { type: entry.job.completedAt === undefined ? STARTED : COMPLETE, record: recordOf(entry) };
    if (wish.exit) return void (await changes.return?.());
    try {
      for await (const [event] of changes as AsyncIterable<[HistoryEvent]>) if (wanted(event.record)) yield event;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #tell(type: number, entry: Entry): void {
    this.#changes.emit("change", { type, record: recordOf(entry) });
  }
}

function recordOf({ job, error, pinned, generation }: Entry): HistoryRecord {
  const { request, attributes, response, createdAt, completedAt, progress } = job;
  const { total, cached, completed, warnings } = progress.counts();
  return {
    ref: request.ref,
    frontend: "dockerfile.v0",
    frontendAttrs: attributes,
    exporters: request.exporters,
    error,
    createdAt: timestamp(createdAt),
    ...(completedAt !== undefined && { completedAt: timestamp(completedAt) }),
    exporterResponse: response,
    generation,
    pinned,
    cachedSteps: cached,
    totalSteps: total,
    completedSteps: completed,
    warnings,
  };
}
