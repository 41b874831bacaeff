import { EngineError, errorMessage } from "../../../base/errors.ts";
import type { ContainerMount } from "../../../runtime/container-mounts.ts";
import type { Task } from "../../../runtime/runtime.ts";
import type { ShellOptions, ShellSession } from "../../builder.ts";
import type { OpContext } from "../../graph/graph.ts";
import type { Toolkit } from "../../toolkit.ts";
import type { Tree } from "../../tree.ts";
import { launch } from "./launch.ts";
import { type ContainerPlace, type OnFailedRun, RunFailure, type RunOp, withContainer } from "./run.ts";

/** So many failed steps' trees are kept at once. */
const MOST = 4;

export interface FailedRecord {
  readonly id: string;
  /** Bytes on the disk. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly busy: boolean;
}

interface Kept extends FailedRecord {
  readonly op: RunOp;
  readonly inputs: readonly Tree[];
  size: number;
  /** A shell is open in it. */
  busy: boolean;
}

type StartedShell = Omit<ShellSession, "exitCode"> & { readonly exited: Promise<number> };

/** The trees that failed RUN steps left, until the next build begins. They end with the engine. */
export class FailedSteps {
  readonly #tools: Toolkit;
  readonly #kept = new Map<string, Kept>();
  readonly #sessions = new Set<AbortController>();

  constructor(tools: Toolkit) {
    this.#tools = tools;
  }

  readonly keep: OnFailedRun = ({ id, op, inputs, error }) => {
    if (!(error instanceof RunFailure)) return false;
    const free = [...this.#kept.values()].filter(({ busy }) => !busy);
    for (const { id: oldest } of free.slice(0, Math.max(0, this.#kept.size - MOST + 1))) void this.#drop(oldest);
    error.failedStep = id;
    const kept: Kept = { id, op, inputs, busy: false, size: 0, createdAt: Date.now() };
    this.#kept.set(id, kept);
    void this.#tools.snapshots.usage(id).then(
      (size) => {
        kept.size = size;
      },
      () => {},
    );
    return true;
  };

  /** Lets go of what nobody looks at. */
  async clear(): Promise<void> {
    await Promise.all([...this.#kept.values()].filter(({ busy }) => !busy).map(({ id }) => this.#drop(id)));
  }

  records(): readonly FailedRecord[] {
    return [...this.#kept.values()];
  }

  /** False while a shell is open in it. */
  async drop(id: string): Promise<boolean> {
    const kept = this.#kept.get(id);
    if (kept === undefined || kept.busy) return false;
    await this.#drop(id);
    return true;
  }

  /** As `Builder.shell`. */
  async shell(prefix: string, options: ShellOptions): Promise<ShellSession> {
    const found = [...this.#kept.values()].filter(({ id }) => prefix !== "" && id.startsWith(prefix));
    const [step] = found;
    if (step === undefined || found.length > 1)
      throw new EngineError("not-found", `there is no failed build step ${prefix}`, {
        hint: "a failed step's state is kept until the next build begins",
      });
    if (step.busy) throw new EngineError("conflict", `a shell is open in the failed step ${prefix} already`);
    step.busy = true;
    const started = Promise.withResolvers<StartedShell>();
    const stop = new AbortController();
    this.#sessions.add(stop);
    const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
    const { network } = step.op.parameters;
    const ended = withContainer(this.#tools, { id: step.id, network }, (place) =>
      this.#session(step, place, { ...options, signal }, started),
    )
      .then(({ closed }) => closed)
      .finally(() => {
        step.busy = false;
        this.#sessions.delete(stop);
      });
    ended.catch(started.reject);
    const { exited, ...session } = await started.promise;
    return { ...session, exitCode: ended.then(() => exited) };
  }

  async close(): Promise<void> {
    for (const stop of this.#sessions) stop.abort();
    while (this.#sessions.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await this.clear();
  }

  async #session(
    step: Kept,
    place: ContainerPlace,
    options: ShellOptions & { readonly signal: AbortSignal },
    started: PromiseWithResolvers<StartedShell>,
  ): Promise<Task> {
    const { command, extraEnv, limits, privileged } = step.op.parameters;
    await using stack = new AsyncDisposableStack();
    const given = await this.#mounts(step, place, options.signal, stack);
    const { terminal, size } = options;
    const task = await launch(this.#tools, {
      ...place,
      command: { ...command, args: options.command ?? ["/bin/sh"], env: [...extraEnv, ...command.env, ...given.env] },
      limits,
      privileged,
      mounts: given.mounts,
      terminal,
      size,
      stdin: true,
    });
    const kill = () => void task.killAll(9).catch(() => {});
    options.signal.addEventListener("abort", kill, { once: true });
    try {
      const { output, input } = await task.attach({ stdin: true, pending: false });
      const exited = task.exited.then((record) => record.exitCode);
      started.resolve({ output, input, exited, resize: (rows, columns) => task.resize(rows, columns) });
      task.proceed();
    } catch (error) {
      kill();
      throw error;
    } finally {
      await task.released;
      options.signal.removeEventListener("abort", kill);
    }
    return task;
  }

  /** What can still be mounted: secrets and contexts may be gone with the build's client. */
  async #mounts(step: Kept, place: ContainerPlace, signal: AbortSignal, stack: AsyncDisposableStack) {
    const mounts: ContainerMount[] = [];
    const env: string[] = [];
    const context: OpContext = { signal, log: () => {}, transfer: () => {}, container: () => {} };
    for (const mount of step.op.parameters.mounts) {
      try {
        const opened = stack.use(await mount.open(step.inputs, context, place));
        mounts.push(...opened.mounts);
        env.push(...(opened.env ?? []));
      } catch (error) {
        const reason = errorMessage(error);
        this.#tools.logger.log("debug", "a mount of a failed step is not there any more", { step: step.id, reason });
      }
    }
    return { mounts, env };
  }

  async #drop(id: string): Promise<void> {
    this.#kept.delete(id);
    await this.#tools.snapshots.remove(id);
  }
}
