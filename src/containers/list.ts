import type { ContainerSummary, MountPoint } from "../api/types/container.ts";
import type { OCIDescriptor } from "../api/types/image.ts";
import type { EndpointSettings } from "../api/types/network.ts";
import { millisecondsOf } from "../base/time.ts";
import type { Container } from "./container.ts";
import type { ListOptions } from "./containers.ts";
import type { Context } from "./context.ts";
import { linkNames } from "./link-names.ts";
import { listFilter } from "./list-filters.ts";
import type { Definition } from "./record.ts";
import { containerSize } from "./size.ts";
import { isRunning } from "./state.ts";
import { statusText } from "./status-text.ts";
import { endpointViews } from "./view-network.ts";
import { portList, portsOf } from "./view-ports.ts";

/** Newest first. */
export async function listContainers(context: Context, options: ListOptions): Promise<ContainerSummary[]> {
  const { passes, all } = listFilter(options.filters, context);
  const limited = options.limit !== undefined && options.limit > 0;
  const everything = options.all || all || limited;
  let chosen = context.registry
    .all()
    .filter((container) => (everything || isRunning(container.state)) && passes(container));
  if (limited) chosen = chosen.slice(0, options.limit);
  const names = new Map<string, readonly string[]>();
  return Promise.all(
    chosen.map(async (container) => ({
      ...summary(context, container, names),
      ...(options.size ? await containerSize(context, container) : {}),
    })),
  );
}

/** Image ids by reference: what it stands for now, looked up once for a list. */
type ImageNames = Map<string, readonly string[]>;

function summary(context: Context, container: Container, names: ImageNames): ContainerSummary {
  const { definition, state, id } = container;
  const { config, hostConfig } = definition;
  return {
    Id: id,
    Names: [`/${container.name}`, ...linkNames(context, container)],
    Image: imageName(context, container, names),
    ImageID: container.imageId,
    ...imageManifest(context, container),
    Command: commandLine(definition),
    Created: Math.floor(millisecondsOf(container.createdAt) / 1000),
    Ports: portList(portsOf(context, container)),
    Labels: { ...config.Labels },
    State: state.status,
    Status: statusText(state, Date.now()),
    HostConfig: {
      NetworkMode: hostConfig.NetworkMode,
      ...(hostConfig.Annotations ? { Annotations: hostConfig.Annotations } : {}),
    },
    NetworkSettings: { Networks: endpointViews(context, container) as Record<string, EndpointSettings> },
    Mounts: mountViews(context, definition),
  };
}

/** The reference it was made from, while that still is the same image; its id otherwise. */
function imageName({ images }: Context, { definition, imageId }: Container, names: ImageNames): string {
  const reference = definition.config.Image ?? imageId;
  let now = names.get(reference);
  if (now === undefined) {
    now = imageIds(images, reference);
    names.set(reference, now);
  }
  return now.includes(imageId) ? reference : imageId;
}

/** The manifest that the container was made from; nothing when its image is gone. */
export function imageManifest(
  { images }: Context,
  { imageId }: Container,
): { readonly ImageManifestDescriptor?: OCIDescriptor } {
  try {
    const { manifest, config } = images.peek(imageId);
    const { mediaType, digest, size } = manifest;
    const { architecture, os, variant } = config;
    const platform = { architecture, os, ...(variant !== undefined && { variant }) };
    return { ImageManifestDescriptor: { mediaType, digest, size, platform } };
  } catch {
    return {};
  }
}

/** Ids of all platforms that a reference stands for now; none when there is no such image. */
function imageIds(images: Context["images"], reference: string): string[] {
  try {
    const { imageId, parts } = images.target(reference);
    return [imageId, ...parts.flatMap(({ image }) => image ?? [])];
  } catch {
    return [];
  }
}

/** Path and arguments; those with a space are quoted, as Docker does. */
function commandLine({ config }: Definition): string {
  const [path = "", ...args] = commandOf(config);
  return [path, ...args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg))].join(" ");
}

export function commandOf({ Entrypoint, Cmd }: Definition["config"]): string[] {
  return [...(Entrypoint ?? []), ...(Cmd ?? [])];
}

export function mountViews({ volumes }: Context, { mounts }: Definition): MountPoint[] {
  return mounts.map(({ type, name, source, destination, mode, writable, propagation }) => {
    const common = { Destination: destination, Mode: mode, RW: writable, Propagation: propagation };
    if (type === "bind") return { Type: type, Source: source, ...common } as MountPoint;
    if (type === "image") return { Type: type, Name: name ?? "", Source: name ?? "", ...common } as MountPoint;
    return { Type: type, Name: name ?? "", Source: volumeFolder(volumes, name ?? ""), Driver: "local", ...common };
  });
}

function volumeFolder(volumes: Context["volumes"], name: string): string {
  try {
    return volumes.inspect(name).Mountpoint;
  } catch {
    return "";
  }
}
