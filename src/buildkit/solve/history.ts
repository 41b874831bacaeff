/** The builds of this daemon's life: `buildx history`. */
import { EventEmitter, on } from "node:events";
import { EngineError } from "../../base/errors.ts";
import { withoutPassword } from "../../base/urls.ts";
import { type HistoryRecord, timestamp } from "../wire/control.ts";
import type { StatusPart } from "../wire/status.ts";
import type { Job } from "./jobs.ts";

/** Builds that are remembered: the last ones, and of those that the client wants kept. */
const MAX_RECORDS = 50;
const MAX_PINNED = 50;
/** Characters of the attributes and outputs of one record: the longest are left out. */
const MAX_TEXT = 16_384;

const STARTED = 0;
const COMPLETE = 1;
const DELETED = 2;

export interface HistoryEvent {
  readonly type: number;
  readonly record: HistoryRecord;
}

interface Entry {
  /** While it runs: it holds its request and all its log. */
  job: Job | undefined;
  record: HistoryRecord;
  pinned: boolean;
  generation: number;
}

export class History {
  readonly #entries = new Map<string, Entry>();
  readonly #changes = new EventEmitter().setMaxListeners(0);

  begin(job: Job): void {
    const entry = { job, record: recordOf(job), pinned: false, generation: 1 };
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
    entry.record = { ...recordOf(job), ...(error !== undefined && { error: shortened(error) }) };
    entry.job = undefined;
    entry.generation++;
    this.#tell(COMPLETE, entry);
  }

  job(ref: string): Job | undefined {
    return this.#entries.get(ref)?.job;
  }

  /** Whether there was such a build. Throws "conflict" when too many are pinned. */
  update(ref: string, change: { readonly pinned: boolean; readonly delete: boolean }): boolean {
    const entry = this.#entries.get(ref);
    if (entry === undefined) return false;
    if (change.delete) this.remove(ref);
    else {
      if (change.pinned && !entry.pinned) this.#refuseMorePins();
      entry.pinned = change.pinned;
      entry.generation++;
      this.#tell(typeOf(entry), entry);
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
      ({ job, record }) => wanted(record) && (!wish.activeOnly || job !== undefined),
    );
    for (const entry of wish.limit > 0 ? now.slice(-wish.limit) : now)
      yield { type: typeOf(entry), record: shown(entry) };
    if (wish.exit) return void (await changes.return?.());
    try {
      for await (const [event] of changes as AsyncIterable<[HistoryEvent]>) if (wanted(event.record)) yield event;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #tell(type: number, entry: Entry): void {
    this.#changes.emit("change", { type, record: shown(entry) });
  }

  #refuseMorePins(): void {
    if ([...this.#entries.values()].filter(({ pinned }) => pinned).length < MAX_PINNED) return;
    throw new EngineError("conflict", `${MAX_PINNED} builds are pinned already`, {
      hint: "Remove one with docker buildx history rm.",
    });
  }
}

const typeOf = ({ job }: Entry): number => (job === undefined ? COMPLETE : STARTED);

const shown = ({ job, record, pinned, generation }: Entry): HistoryRecord => ({
  ...(job === undefined ? record : recordOf(job)),
  pinned,
  generation,
});

function recordOf({ request, attributes, response, createdAt, completedAt, progress }: Job): HistoryRecord {
  const { total, cached, completed, warnings } = progress.counts();
  return {
    ref: request.ref,
    frontend: "dockerfile.v0",
    frontendAttrs: openly(attributes),
    exporters: request.exporters.slice(0, MAX_EXPORTERS).map(({ type, attrs }) => ({ type, attrs: openly(attrs) })),
    createdAt: timestamp(createdAt),
    ...(completedAt !== undefined && { completedAt: timestamp(completedAt) }),
    exporterResponse: response,
    cachedSteps: cached,
    totalSteps: total,
    completedSteps: completed,
    warnings,
  };
}

const MAX_EXPORTERS = 20;

/** What everybody may read: no passwords, and no sessions, whose names are all that is needed to use them. */
function openly(attributes: Readonly<Record<string, string>>): Record<string, string> {
  let left = MAX_TEXT;
  const shown: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("local-sessionid:") || name.length + value.length > left) continue;
    left -= name.length + value.length;
    shown[name] = withoutPassword(value);
  }
  return shown;
}

/** Without its details, which have the Dockerfile. */
const shortened = ({ code, message = "" }: StatusPart): StatusPart => ({
  code,
  message: withoutPassword(message.slice(0, MAX_TEXT)),
});
