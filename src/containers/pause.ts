import { EngineError } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { notify } from "./notify.ts";
import { isRunning } from "./state.ts";

export async function pauseContainer(context: Context, container: Container): Promise<void> {
  await context.locks.run(container.id, async () => {
    refuseNotRunning(container);
    if (container.state.status === "paused")
      throw new EngineError("conflict", `Container ${container.id} is already paused`);
    await context.runtime.pause(container.id);
    // It may have ended before it stood still.
    refuseNotRunning(container);
    context.registry.change(container, { kind: "pause" });
    notify(context, container, "pause");
  });
}

export async function unpauseContainer(context: Context, container: Container): Promise<void> {
  await context.locks.run(container.id, async () => {
    if (container.state.status !== "paused")
      throw new EngineError("conflict", `Container ${container.id} is not paused`);
    await context.runtime.resume(container.id);
    if (container.state.status !== "paused") return;
    context.registry.change(container, { kind: "unpause" });
    notify(context, container, "unpause");
  });
}

/** "conflict" with Docker's texts, also between two runs of a restart policy. */
export function refuseNotRunning({ id, state }: Container): void {
  if (!isRunning(state)) throw new EngineError("conflict", `container ${id} is not running`);
  if (state.status === "restarting")
    throw new EngineError("conflict", `Container ${id} is restarting, wait until the container is running`);
}
