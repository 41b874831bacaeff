/**
 * A build's events as BuildKit's status messages, for any number of readers. Nothing is held for long: what a slow reader did not take is
 * put together (a vertex is its last state), and of its log the oldest goes. Who comes late begins with what is known.
 */
import { digestOf } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import { withoutPassword } from "../../base/urls.ts";
import type { PartOf } from "../protobuf/message.ts";
import {
  type StatusResponse,
  timestamp,
  type Vertex,
  type VertexLog,
  type VertexStatus,
  type VertexWarning,
} from "../wire/control.ts";

type Shown = PartOf<typeof Vertex>;
type Line = PartOf<typeof VertexLog>;

/** Bytes of log that wait for one reader. */
const MAX_LOG = 2 << 20;
/** Transfers of one build that are told of. */
const MAX_STATUSES = 5000;

/** Bytes of log that are kept of a build that is over. */
const REMEMBERED_LOG = 64 << 10;

const CUT = Buffer.from("[earlier output was left out: it was not read in time]\n");

export class Progress {
  readonly #known = new Pending();
  readonly #readers = new Set<Pending>();
  readonly #build: string;
  readonly #digests = new Map<string, string>();
  #ended = false;

  /** `build`: vertices of different builds are different, though clients show several in one place. */
  constructor(build: string) {
    this.#build = build;
  }

  tell(part: StatusResponse): void {
    if (this.#ended) return;
    const own = this.#own(part);
    for (const pending of [this.#known, ...this.#readers]) pending.add(own);
  }

  /** Of the log the end stays, for who asks later. */
  end(): void {
    this.#ended = true;
    this.#known.shorten(REMEMBERED_LOG);
    for (const reader of this.#readers) reader.wake();
  }

  /** From what is known to the end. */
  async *read(signal: AbortSignal): AsyncGenerator<StatusResponse> {
    const pending = new Pending();
    for (const part of this.#known.take({ keep: true })) pending.add(part);
    this.#readers.add(pending);
    const wake = () => pending.wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      while (!signal.aborted) {
        yield* pending.take();
        if (this.#ended && pending.empty) return;
        await pending.more(() => this.#ended || signal.aborted);
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#readers.delete(pending);
    }
  }

  /** Work that is no step of the builder's. */
  async shown<T>(name: string, work: (log: (text: string) => void) => Promise<T>): Promise<T> {
    const vertex = { digest: digestOf(`buildkit ${name}`), name, started: timestamp(Date.now()) };
    const log = (text: string) =>
      this.tell({
        logs: [{ vertex: vertex.digest, timestamp: timestamp(Date.now()), stream: 1, msg: Buffer.from(`${text}\n`) }],
      });
    this.tell({ vertexes: [vertex] });
    try {
      const done = await work(log);
      this.tell({ vertexes: [{ ...vertex, completed: timestamp(Date.now()) }] });
      return done;
    } catch (error) {
      this.tell({ vertexes: [{ ...vertex, completed: timestamp(Date.now()), error: errorMessage(error) }] });
      throw error;
    }
  }

  /** Something to know that stops nothing. */
  note(text: string): void {
    void this.shown("[internal] notes", async (log) => log(text));
  }

  #own({ vertexes = [], statuses = [], logs = [], warnings = [] }: StatusResponse): StatusResponse {
    return {
      vertexes: vertexes.map((vertex) => ({
        ...vertex,
        name: withoutPassword(vertex.name ?? ""),
        error: withoutPassword(vertex.error ?? ""),
        digest: this.#digest(vertex.digest),
        inputs: vertex.inputs?.map((input) => this.#digest(input)),
      })),
      statuses: statuses.map((status) => ({ ...status, vertex: this.#digest(status.vertex) })),
      logs: logs.map((log) => ({ ...log, vertex: this.#digest(log.vertex) })),
      warnings: warnings.map((warning) => ({ ...warning, vertex: this.#digest(warning.vertex) })),
    };
  }

  #digest(digest = ""): string {
    const known = this.#digests.get(digest);
    if (known !== undefined) return known;
    const made = digestOf(`${this.#build} ${digest}`);
    this.#digests.set(digest, made);
    return made;
  }

  /** For the history: how many steps ran, and how. */
  counts(): { readonly total: number; readonly cached: number; readonly completed: number; readonly warnings: number } {
    const vertices = this.#known.vertices;
    return {
      total: vertices.length,
      cached: vertices.filter(({ cached }) => cached).length,
      completed: vertices.filter(({ completed }) => completed !== undefined).length,
      warnings: this.#known.warnings,
    };
  }
}

/** What one reader has not seen yet. */
class Pending {
  readonly #vertices = new Map<string, Shown>();
  readonly #statuses = new Map<string, PartOf<typeof VertexStatus>>();
  #logs: Line[] = [];
  #logBytes = 0;
  #warnings: PartOf<typeof VertexWarning>[] = [];
  #wake: (() => void) | undefined;

  get empty(): boolean {
    return this.#vertices.size + this.#statuses.size + this.#logs.length + this.#warnings.length === 0;
  }

  get vertices(): readonly Shown[] {
    return [...this.#vertices.values()];
  }

  get warnings(): number {
    return this.#warnings.length;
  }

  add({ vertexes = [], statuses = [], logs = [], warnings = [] }: StatusResponse): void {
    for (const vertex of vertexes) this.#vertices.set(vertex.digest ?? "", vertex);
    for (const status of statuses) {
      const key = `${status.vertex} ${status.id}`;
      if (this.#statuses.size < MAX_STATUSES || this.#statuses.has(key)) this.#statuses.set(key, status);
    }
    for (const log of logs) this.#log(log);
    this.#warnings.push(...warnings);
    this.wake();
  }

  /** In messages of moderate size. */
  *take({ keep = false } = {}): Generator<StatusResponse> {
    if (this.empty) return;
    const [vertexes, statuses, logs, warnings] = [
      this.vertices,
      [...this.#statuses.values()],
      this.#logs,
      this.#warnings,
    ];
    if (!keep) {
      this.#vertices.clear();
      this.#statuses.clear();
      this.#logs = [];
      this.#logBytes = 0;
      this.#warnings = [];
    }
    yield { vertexes, statuses };
    for (let at = 0; at < warnings.length; at += 32) yield { warnings: warnings.slice(at, at + 32) };
    for (let at = 0; at < logs.length; at += 64) yield { logs: logs.slice(at, at + 64) };
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Resolves when something was added, or somebody woke it. */
  more(over: () => boolean): Promise<void> {
    if (!this.empty || over()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #log(log: Line): void {
    this.#logs.push(log);
    this.#logBytes += log.msg?.length ?? 0;
    this.shorten(MAX_LOG);
  }

  /** To so many bytes of log. */
  shorten(most: number): void {
    while (this.#logBytes > most && this.#logs.length > 1) {
      this.#logBytes -= this.#logs.shift()?.msg?.length ?? 0;
      const [oldest] = this.#logs;
      if (oldest !== undefined && oldest.msg !== CUT) {
        this.#logs[0] = { ...oldest, msg: CUT };
        this.#logBytes += CUT.length - (oldest.msg?.length ?? 0);
      }
    }
  }
}
