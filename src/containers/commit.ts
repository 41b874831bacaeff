import type { ContainerConfig } from "../api/types/container.ts";
import type { Digest } from "../base/digest.ts";
import { applyChanges } from "../images/changes.ts";
import { familiarName, parseTagTarget } from "../oci/reference.ts";
import type { ImageRunConfig } from "../oci/types.ts";
import type { Container } from "./container.ts";
import type { CommitOptions } from "./containers.ts";
import type { Context } from "./context.ts";
import { holdStill } from "./hold-still.ts";
import { notify } from "./notify.ts";

/** An image of what the container changed, on top of its own image. With `pause` it stands still meanwhile. */
export async function commitContainer(context: Context, container: Container, options: CommitOptions): Promise<Digest> {
  const { images, snapshots } = context;
  return holdStill(context, options.pause ? [container] : [], async () => {
    const config = applyChanges(runConfig({ ...container.definition.config, ...options.config }), options.changes);
    const { repo, tag, author, message } = options;
    const parent = images.get(container.imageId);
    const diff = snapshots.diff(container.id);
    const createdBy = (container.definition.config.Cmd ?? []).join(" ");
    const about = { repo, tag, author, message, createdBy, containerId: container.id };
    const id = await images.commit({ parent, diff, config, ...about });
    notify(context, container, "commit", {
      comment: message ?? "",
      imageID: id,
      imageRef: repo ? familiarName(parseTagTarget(repo, tag ?? "")) : "",
    });
    return id;
  });
}

const KEPT = [
  "User",
  "ExposedPorts",
  "Env",
  "Entrypoint",
  "Cmd",
  "Volumes",
  "WorkingDir",
  "Labels",
  "StopSignal",
  "Healthcheck",
  "OnBuild",
  "Shell",
] as const satisfies readonly (keyof ContainerConfig & keyof ImageRunConfig)[];

/** What of a container's configuration an image can say. */
function runConfig(config: ContainerConfig): ImageRunConfig {
  return Object.fromEntries(KEPT.map((key) => [key, config[key] ?? undefined])) as ImageRunConfig;
}
