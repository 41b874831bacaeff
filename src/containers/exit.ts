import type { ContainerWaitResult } from "../api/types/container.ts";
import { millisecondsOf } from "../base/time.ts";
import type { ExitRecord, Task, TaskNotice } from "../runtime/runtime.ts";
import { AWAIT_POLL, awaitsOthers } from "./awaited.ts";
import { inBackground } from "./background.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { notify } from "./notify.ts";
import { releaseRun } from "./release.ts";
import { removeInBackground } from "./remove.ts";
import { nextDelay, wantsRestart } from "./restart-policy.ts";
import { startLocked } from "./start.ts";

export function watchExit(context: Context, container: Container, task: Task): void {
  task.listen((notice) => {
    if (!context.closing() && container.task === task) takeNote(context, container, notice);
  });
  void task.exited.then((record) => {
    if (context.closing() || container.task !== task) return;
    handleExit(context, container, record, task.released);
  });
}

function takeNote(context: Context, container: Container, notice: TaskNotice): void {
  if (notice.kind === "oom") {
    context.registry.change(container, { kind: "oom" });
    notify(context, container, "oom");
    return;
  }
  const { lines, reason } = notice;
  const what = lines === 0 ? "lines of a container's log are being lost" : "lines of a container's log were lost";
  context.logger.log("warn", what, { container: container.id, reason, ...(lines === 0 ? {} : { lines }) });
}

/**
 * The process has ended: state, event and waiters at once and in this order; then, behind everybody's back, its mounts and network are
 * let go of, and it is started again or removed where that is wished.
 */
export function handleExit(
  context: Context,
  container: Container,
  record: ExitRecord,
  released: Promise<void> = Promise.resolve(),
): void {
  const { state, definition } = container;
  const { hostConfig } = definition;
  const restarting =
    state.status !== "removing" &&
    container.keptAlive === 0 &&
    wantsRestart(hostConfig, { ...state, exitCode: record.exitCode });
  container.task = undefined;
  container.process = undefined;
  container.stopHealth?.();
  context.registry.change(container, { kind: "exit", record, restarting });
  if (record.oomKilled && !state.oomKilled) notify(context, container, "oom");
  const runLength = Math.max(0, millisecondsOf(record.finishedAt) - millisecondsOf(state.startedAt));
  notify(context, container, "die", {
    exitCode: String(record.exitCode),
    execDuration: String(Math.floor(runLength / 1000)),
  });
  resolveAll(container.exitWaiters, exitResult(container));
  container.settled = inBackground(context, "letting go of a container", async () => {
    await released;
    await releaseRun(context, container);
  });
  if (restarting) scheduleRestart(context, container, runLength);
  else if (hostConfig.AutoRemove && container.keptAlive === 0) removeInBackground(context, container);
}

/** Starts it again after the policy's delay and after those that it needs, unless it is taken back. */
export function scheduleRestart(context: Context, container: Container, runLength: number): void {
  container.restartDelay = nextDelay(container.restartDelay, runLength);
  const restart = () => {
    if (awaitsOthers(context, container)) {
      timer = setTimeout(restart, AWAIT_POLL);
      return;
    }
    container.cancelRestart = undefined;
    void inBackground(context, "restarting a container", () =>
      context.locks.run(container.id, async () => {
        if (container.state.status === "restarting" && !context.closing())
          await startLocked(context, container, container.state.restartCount + 1);
      }),
    );
  };
  let timer = setTimeout(restart, container.restartDelay);
  container.cancelRestart = () => {
    clearTimeout(timer);
    container.cancelRestart = undefined;
  };
}

/** Gives up the restart that is due. True when there was one. */
export function giveUpRestart(context: Context, container: Container): boolean {
  if (container.state.status !== "restarting") return false;
  container.cancelRestart?.();
  context.registry.change(container, { kind: "give-up" });
  context.registry.change(container, { kind: "stop-by-hand" });
  return true;
}

export function exitResult({ state }: Container): ContainerWaitResult {
  return { StatusCode: state.exitCode, Error: state.error === "" ? {} : { Message: state.error } };
}

export function resolveAll(waiters: Set<(result: ContainerWaitResult) => void>, result: ContainerWaitResult): void {
  const all = [...waiters];
  waiters.clear();
  for (const resolve of all) resolve(result);
}
