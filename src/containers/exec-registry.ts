import type { ExecCreateRequest } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { Task } from "../runtime/runtime.ts";
import type { Container } from "./container.ts";

/** Milliseconds for which an exec that has ended is remembered. */
const MEMORY = 5 * 60_000;

export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly request: ExecCreateRequest;
  task: Task | undefined;
  /** "new" until it is started. */
  status: "new" | "running" | "ended";
  /** Of the process while it runs; Docker keeps showing it afterwards. */
  pid: number;
  exitCode: number | null;
}

/** Execs that were made, run, or have ended a while ago; in memory alone, a few hundred bytes each. */
export class Execs {
  readonly #byId = new Map<string, Exec>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  add(container: Container, exec: Exec): void {
    this.#byId.set(exec.id, exec);
    container.execIds.add(exec.id);
    // One that is never started is forgotten too.
    if (exec.status !== "running") this.#forgetLater(container, exec);
  }

  /** By id or unambiguous prefix. */
  get(id: string): Exec {
    const matches = id === "" ? [] : [...this.#byId.values()].filter((candidate) => candidate.id.startsWith(id));
    const exec = this.#byId.get(id) ?? (matches.length === 1 ? matches[0] : undefined);
    if (exec === undefined) throw new EngineError("not-found", `No such exec instance: ${id}`);
    return exec;
  }

  started(exec: Exec): void {
    clearTimeout(this.#timers.get(exec.id));
    this.#timers.delete(exec.id);
  }

  ended(container: Container, exec: Exec): void {
    container.execIds.delete(exec.id);
    this.#forgetLater(container, exec);
  }

  forgetContainer(container: Container): void {
    for (const exec of [...this.#byId.values()]) if (exec.containerId === container.id) this.#forget(container, exec);
  }

  /** Lets go of every running exec; they go on. */
  dispose(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const { task } of this.#byId.values()) task?.release();
  }

  #forgetLater(container: Container, exec: Exec): void {
    clearTimeout(this.#timers.get(exec.id));
    const timer = setTimeout(() => this.#forget(container, exec), MEMORY);
    timer.unref();
    this.#timers.set(exec.id, timer);
  }

  #forget(container: Container, exec: Exec): void {
    clearTimeout(this.#timers.get(exec.id));
    this.#timers.delete(exec.id);
    this.#byId.delete(exec.id);
    container.execIds.delete(exec.id);
  }
}
