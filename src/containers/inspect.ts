import type { ContainerInspect, ContainerState, MountPoint, NetworkSettings } from "../api/types/container.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { sizes } from "./list.ts";
import { isRunning } from "./state.ts";

/** GET /containers/{id}/json. */
export async function inspectContainer(
  context: Context,
  container: Container,
  size: boolean,
): Promise<ContainerInspect> {
  const { paths, logs } = context;
  const { id, name, definition, state, createdAt, imageId } = container;
  const { config, hostConfig, platform } = definition;
  const [path = "", ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const ownFiles = !(hostConfig.NetworkMode ?? "").startsWith("container:");
  const file = (name: "hosts" | "hostname" | "resolv.conf") => (ownFiles ? paths.networkFile(id, name) : "");
  return {
    Id: id,
    Created: createdAt,
    Path: path,
    Args: args,
    State: inspectState(container),
    Image: imageId,
    ResolvConfPath: file("resolv.conf"),
    HostnamePath: file("hostname"),
    HostsPath: file("hosts"),
    LogPath: logs.sink(hostConfig.LogConfig ?? {}, paths.container(id), id).path ?? "",
    Name: `/${name}`,
    RestartCount: state.restartCount,
    Driver: context.snapshots.driver === "overlay" ? "overlay2" : "vfs",
    Platform: platform,
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: container.execIds.size > 0 ? [...container.execIds] : null,
    HostConfig: hostConfig,
    GraphDriver: { Name: context.snapshots.driver === "overlay" ? "overlay2" : "vfs", Data: {} },
    ...(size ? await sizes(context, container) : {}),
    Mounts: mountPoints(context, container),
    Config: config,
    NetworkSettings: networkSettings(context, container),
  };
}

function inspectState({ state, restartDelay }: Container): ContainerState {
  void restartDelay;
  return {
    Status: state.status,
    Running: isRunning(state),
    Paused: state.status === "paused",
    Restarting: state.status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: state.status === "dead",
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
    ...(state.health === undefined ? {} : { Health: state.health }),
  };
}

export function mountPoints({ volumes }: Pick<Context, "volumes">, { definition }: Container): MountPoint[] {
  const known = new Map(volumes.list().map((volume) => [volume.Name, volume]));
  return definition.mounts.map(({ type, name, source, destination, mode, writable, propagation }) => {
    const common = { Destination: destination, Mode: mode, RW: writable, Propagation: propagation };
    if (type === "bind") return { Type: "bind", Source: source, ...common } as MountPoint;
    const volume = known.get(name ?? "");
    return {
      Type: "volume",
      Name: name ?? "",
      Source: volume?.Mountpoint ?? source,
      ...common,
      Driver: volume?.Driver ?? "local",
    };
  });
}

function networkSettings({ networks }: Context, { id, definition }: Container): NetworkSettings {
  const sandbox = networks.sandbox(id);
  const endpoints = sandbox?.endpoints ?? definition.endpoints;
  // Only the default bridge's address is shown at the top, as ever.
  const top = sandbox?.endpoints.bridge ?? {};
  return {
    Bridge: "",
    SandboxID: sandbox?.sandboxId ?? "",
    SandboxKey: sandbox?.netns ?? "",
    Ports: sandbox?.ports ?? {},
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: top.EndpointID ?? "",
    Gateway: top.Gateway ?? "",
    GlobalIPv6Address: top.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: top.GlobalIPv6PrefixLen ?? 0,
    IPAddress: top.IPAddress ?? "",
    IPPrefixLen: top.IPPrefixLen ?? 0,
    IPv6Gateway: top.IPv6Gateway ?? "",
    MacAddress: top.MacAddress ?? "",
    Networks: { ...endpoints },
  };
}
