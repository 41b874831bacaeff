/** Builds under way, by the name that their client gave them. */
import { EngineError } from "../../base/errors.ts";
import type { CallContext } from "../grpc/server.ts";
import { Arrivals } from "../session/arrivals.ts";
import type { SolveRequest } from "../wire/control.ts";
import { Progress } from "./progress.ts";

/** Milliseconds that a build which is over can still be asked about: clients ask for its progress beside its result. */
const REMEMBERED = 10_000;

/** Who asked for a build: its calls come by the same connection. */
export type Caller = Pick<CallContext, "connection" | "signal">;

export class Job {
  readonly request: SolveRequest;
  readonly connection: symbol;
  readonly progress: Progress;
  readonly createdAt = Date.now();
  completedAt: number | undefined;
  /** Aborts when the client gave the build up, or is gone, and when the build is over. */
  readonly signal: AbortSignal;
  /** Of the frontend that ran last. */
  attributes: Readonly<Record<string, string>> = {};
  /** What exporters said. */
  response: Readonly<Record<string, string>> = {};
  /** What lasts as long as the job. */
  readonly #stack = new AsyncDisposableStack();
  readonly #over = new AbortController();
  readonly #returned = Promise.withResolvers<void>();

  constructor(request: SolveRequest, { connection, signal }: Caller) {
    this.request = request;
    this.connection = connection;
    this.progress = new Progress(request.ref);
    this.signal = AbortSignal.any([signal, this.#over.signal]);
    this.#returned.promise.catch(() => {});
  }

  /** The client's own part of the build has ended, with an error or without. */
  return(error?: Error): void {
    if (error === undefined) this.#returned.resolve();
    else this.#returned.reject(error);
  }

  /** Resolves, or rejects, as the client returns. */
  async returned(): Promise<void> {
    const { promise: gone, reject } = Promise.withResolvers<never>();
    const abort = () => reject(new EngineError("cancelled", "the build was cancelled"));
    this.signal.addEventListener("abort", abort, { once: true });
    if (this.signal.aborted) abort();
    try {
      await Promise.race([this.#returned.promise, gone]);
    } finally {
      this.signal.removeEventListener("abort", abort);
    }
  }

  /** At the job's end; at once when that was already. */
  async defer(work: () => Promise<void>): Promise<void> {
    if (this.#stack.disposed) await work();
    else this.#stack.defer(work);
  }

  async end(): Promise<void> {
    this.completedAt = Date.now();
    this.progress.end();
    this.#over.abort(new EngineError("cancelled", "the build is over"));
    await this.#stack.disposeAsync();
  }
}

export class Jobs {
  readonly #jobs = new Arrivals<Job>();

  begin(request: SolveRequest, caller: Caller): Job {
    if (request.ref === "")
      throw new EngineError("invalid", "the build has no name (Ref)", { hint: "Give each build a Ref of its own." });
    if (this.#jobs.has(request.ref))
      throw new EngineError("conflict", `job ID ${request.ref} exists`, { hint: "Give each build a Ref of its own." });
    const job = new Job(request, caller);
    this.#jobs.add(request.ref, job);
    return job;
  }

  async end(job: Job): Promise<void> {
    await job.end();
    setTimeout(() => this.#jobs.remove(job.request.ref, job), REMEMBERED).unref();
  }

  /** To look at: names of builds are no secret (ListenBuildHistory). */
  get(ref: string, signal: AbortSignal): Promise<Job> {
    return this.#jobs.get(ref, signal, () => noJob(ref));
  }

  /** To take part in. Throws "not-found" for another connection's: with a job go its client's secrets, agents and logins. */
  async own(ref: string, { connection, signal }: Caller): Promise<Job> {
    const job = await this.get(ref, signal);
    if (job.connection === connection) return job;
    throw noJob(ref);
  }
}

const noJob = (ref: string): EngineError =>
  new EngineError("not-found", `no such job ${ref}`, {
    hint: "A build's calls come by the connection that called Solve, while it runs.",
  });
