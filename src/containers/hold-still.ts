/** Containers that stand still while something is done to what they write to. */
import { errorKind } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { pauseContainer, unpauseContainer } from "./pause.ts";

/**
 * Pauses those that run, does the work, and lets them go on, whatever comes of it. What is paused already stays so. A note of each is
 * kept meanwhile: should this engine be killed, the next one lets them go on.
 */
export async function holdStill<T>(
  context: Context,
  containers: readonly Container[],
  work: () => Promise<T>,
): Promise<T> {
  const held: Container[] = [];
  try {
    for (const container of containers) if (await hold(context, container)) held.push(container);
    return await work();
  } finally {
    for (const container of held) await letGo(context, container);
  }
}

/** After an engine's start: what an earlier one held goes on. */
export async function letGoOfHeld(context: Context): Promise<void> {
  const ids = new Set(context.store.all("SELECT container FROM held_containers").map((row) => String(row.container)));
  for (const container of context.registry.everything()) if (ids.has(container.id)) await letGo(context, container);
}

/** False for one that does not run now, or is paused by someone else. */
async function hold(context: Context, container: Container): Promise<boolean> {
  if (container.state.status !== "running") return false;
  context.store.run("INSERT OR IGNORE INTO held_containers (container) VALUES (?)", container.id);
  try {
    await pauseContainer(context, container);
    return true;
  } catch (error) {
    forget(context, container);
    if (errorKind(error) === "conflict" || errorKind(error) === "not-found") return false;
    throw error;
  }
}

async function letGo(context: Context, container: Container): Promise<void> {
  try {
    await unpauseContainer(context, container);
  } catch (error) {
    if (errorKind(error) !== "conflict")
      context.logger.log("warn", "a container could not go on", { container: container.id, error: String(error) });
  }
  forget(context, container);
}

function forget({ store }: Context, { id }: Container): void {
  store.run("DELETE FROM held_containers WHERE container = ?", id);
}
