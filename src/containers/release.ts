import { readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, errorMessage } from "../base/errors.ts";
import { unmountShm } from "../runtime/shm.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { releaseMounts } from "./mount-sources.ts";
import { notifyVolumes } from "./notify.ts";

/** Lets go of all that a run held: network, volumes, mounts, bundle. Idempotent; never rejects: what fails is tried again at the next start of the engine. */
export async function releaseRun(context: Context, container: Container): Promise<void> {
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
  for (const result of results)
    if (result.status === "rejected")
      context.logger.log("warn", "what a container held could not be let go of", {
        container: id,
        error: errorMessage(result.reason),
      });
  removeBundle(context, id);
}

/** The folder of the run. Never through a mount: a root file system that is in use stays, and so does the folder. */
export function removeBundle({ paths, logger }: Pick<Context, "paths" | "logger">, id: string): void {
  const bundle = paths.bundle(id);
  try {
    for (const entry of readdirSync(bundle, { withFileTypes: true })) {
      const path = join(bundle, entry.name);
      if (entry.isDirectory()) rmdirSync(path);
      else rmSync(path, { force: true });
    }
    rmdirSync(bundle);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    logger.log("debug", "a bundle stays for now", { container: id, error: errorMessage(error) });
  }
}
