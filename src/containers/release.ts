import { errorMessage } from "../base/errors.ts";
import { removeFlatFolder } from "../base/files.ts";
import { unmountShm } from "../runtime/shm.ts";
import { inBackground } from "./background.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { releaseMounts } from "./mount-sources.ts";
import { notifyVolumes } from "./notify.ts";

/** Milliseconds; each further try waits twice as long. */
const RETRY = { first: 1000, last: 60_000 } as const;

/** Lets go of all that a run held: network, volumes, mounts, bundle. Idempotent; never rejects: what fails is tried again. */
export async function releaseRun(
  context: Context,
  container: Container,
  retryAfter: number = RETRY.first,
): Promise<void> {
  const { networks, rootfs, paths } = context;
  const { id } = container;
  const steps: readonly (() => Promise<void> | void)[] = [
    () => networks.close(id),
    async () => {
      if (await rootfs.release(id, container)) notifyVolumes(context, container, "unmount");
    },
    () => releaseMounts(context, container),
    () => (container.definition.hostConfig.IpcMode === "shareable" ? unmountShm(paths.shm(id)) : undefined),
  ];
  const results = await Promise.allSettled(steps.map(async (step) => step()));
  const failed = results.filter((result) => result.status === "rejected");
  for (const { reason } of failed)
    context.logger.log("warn", "what a container held could not be let go of", {
      container: id,
      error: errorMessage(reason),
    });
  if (failed.length > 0) releaseLater(context, container, retryAfter);
  // The exit is in there, which the next engine must find as long as the database does not have it.
  context.registry.whenWritten(container, () => {
    if (container.task === undefined) removeBundle(context, id);
  });
}

/** Unless it runs again by then. */
function releaseLater(context: Context, container: Container, delay: number): void {
  const again = () =>
    context.locks.run(container.id, async () => {
      if (container.task !== undefined || context.closing()) return;
      await releaseRun(context, container, Math.min(delay * 2, RETRY.last));
    });
  setTimeout(() => void inBackground(context, "letting go of a container", again), delay).unref();
}

/** The folder of the run. Never through a mount: a root file system that is in use stays, and so does the folder. */
export function removeBundle({ paths, logger }: Pick<Context, "paths" | "logger">, id: string): void {
  try {
    removeFlatFolder(paths.bundle(id));
  } catch (error) {
    logger.log("debug", "a bundle stays for now", { container: id, error: errorMessage(error) });
  }
}
