import type { ContainerSummary, MountPoint, Port, PortMap } from "../api/types/container.ts";
import type { Container } from "./container.ts";
import type { ListOptions } from "./containers.ts";
import type { Context } from "./context.ts";
import { mountPoints } from "./inspect.ts";
import { impliesAll, listFilter } from "./list-filters.ts";
import { isRunning } from "./state.ts";
import { statusText } from "./status-text.ts";

/** GET /containers/json, newest first. */
export async function listContainers(context: Context, options: ListOptions): Promise<ContainerSummary[]> {
  const { all, limit = 0, size, filters } = options;
  const passes = listFilter(context, filters);
  const showAll = all || limit > 0 || impliesAll(filters);
  const chosen = context.registry
    .all()
    .filter((container) => (showAll || isRunning(container.state)) && passes(container));
  const listed = limit > 0 ? chosen.slice(0, limit) : chosen;
  return Promise.all(listed.map((container) => summary(context, container, size)));
}

async function summary(context: Context, container: Container, size: boolean): Promise<ContainerSummary> {
  const { id, name, state, definition, createdAt, imageId } = container;
  const { config, hostConfig } = definition;
  const sandbox = context.networks.sandbox(id);
  return {
    Id: id,
    Names: [`/${name}`],
    Image: config.Image ?? imageId,
    ImageID: imageId,
    Command: [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])].join(" "),
    Created: Math.floor(Date.parse(createdAt) / 1000),
    Ports: sandbox === undefined ? [] : summaryPorts(sandbox.ports),
    ...(size ? await sizes(context, container) : {}),
    Labels: config.Labels ?? {},
    State: state.status,
    Status: statusText(state, Date.now()),
    HostConfig: {
      NetworkMode: hostConfig.NetworkMode,
      ...(hostConfig.Annotations ? { Annotations: hostConfig.Annotations } : {}),
    },
    NetworkSettings: { Networks: { ...(sandbox?.endpoints ?? definition.endpoints) } },
    Mounts: mountPoints(context, container) satisfies MountPoint[],
  };
}

/** Bytes of the writable layer, and with the image's below it. */
export async function sizes(
  context: Context,
  { id, imageId }: Container,
): Promise<{ SizeRw: number; SizeRootFs: number }> {
  const written = await context.snapshots.usage(id).catch(() => 0);
  return { SizeRw: written, SizeRootFs: written + imageSize(context, imageId) };
}

function imageSize({ images, snapshots }: Context, imageId: string): number {
  let size = 0;
  try {
    for (let id = images.get(imageId).chainId; id !== undefined; ) {
      const layer = snapshots.layer(id);
      size += layer?.size ?? 0;
      id = layer?.parent;
    }
  } catch {
    // The image was removed by force.
  }
  return size;
}

function summaryPorts(ports: PortMap): Port[] {
  return Object.entries(ports).flatMap(([key, bindings]) => {
    const [port = "", type = "tcp"] = key.split("/");
    const base = { PrivatePort: Number(port), Type: type };
    if (bindings === null) return [base];
    return bindings.map(({ HostIp, HostPort }) => ({ IP: HostIp, ...base, PublicPort: Number(HostPort) }));
  });
}
