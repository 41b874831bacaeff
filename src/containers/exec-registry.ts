/** Execs in memory: made by `execCreate`, remembered until their container is removed or for a while after their end. */
import type { ExecCreateRequest } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { Task } from "../runtime/runtime.ts";
import type { Container } from "./container.ts";

export interface Exec {
  readonly id: string;
  readonly container: Container;
  readonly request: ExecCreateRequest;
  state: "created" | "starting" | "running" | "ended";
  exitCode: number | null;
  pid: number;
  task: Task | undefined;
}

/** Ended ones are forgotten after this many milliseconds. */
const REMEMBERED = 5 * 60_000;

export class Execs {
  readonly #execs = new Map<string, Exec>();

  add(id: string, container: Container, request: ExecCreateRequest): Exec {
    const exec: Exec = { id, container, request, state: "created", exitCode: null, pid: 0, task: undefined };
    this.#execs.set(id, exec);
    container.execIds.add(id);
    return exec;
  }

  /** By id or unambiguous prefix. */
  get(id: string): Exec {
    const exact = this.#execs.get(id);
    if (exact !== undefined) return exact;
    const matches = id === "" ? [] : [...this.#execs.values()].filter((exec) => exec.id.startsWith(id));
    const [only] = matches;
    if (only === undefined || matches.length > 1) throw new EngineError("not-found", `No such exec instance: ${id}`);
    return only;
  }

  running(): Exec[] {
    return [...this.#execs.values()].filter(({ state }) => state === "running");
  }

  ended(exec: Exec, exitCode: number): void {
    exec.state = "ended";
    exec.exitCode = exitCode;
    exec.pid = 0;
    exec.task = undefined;
    exec.container.execIds.delete(exec.id);
    setTimeout(() => this.#execs.delete(exec.id), REMEMBERED).unref();
  }

  forgetContainer(container: Container): void {
    for (const [id, exec] of this.#execs) if (exec.container === container) this.#execs.delete(id);
  }
}
