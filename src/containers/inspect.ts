import type { ContainerConfig, ContainerInspect, ContainerState } from "../api/types/container.ts";
import { appArmorProfile } from "../runtime/apparmor.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { linkViews } from "./links.ts";
import { commandOf, imageManifest, mountViews } from "./list.ts";
import type { State } from "./record.ts";
import { containerSize } from "./size.ts";
import { isRunning } from "./state.ts";
import { networkView } from "./view-network.ts";

/** GET /containers/{id}/json, as Docker 28 answers. */
export async function inspectContainer(
  context: Context,
  container: Container,
  { size }: { readonly size: boolean },
): Promise<ContainerInspect> {
  const { paths, snapshots, logs } = context;
  const { id, definition, state } = container;
  const { config, hostConfig, mounts } = definition;
  const [Path = "", ...Args] = commandOf(config);
  const file = (name: "hosts" | "hostname" | "resolv.conf") =>
    state.startedAt.startsWith("0001") ? "" : paths.networkFile(id, name);
  const sink = logs.sink(hostConfig.LogConfig ?? {}, paths.container(id), id);
  return {
    Id: id,
    Created: container.createdAt,
    Path,
    Args,
    State: stateView(state),
    Image: container.imageId,
    ...imageManifest(context, container),
    ResolvConfPath: file("resolv.conf"),
    HostnamePath: file("hostname"),
    HostsPath: file("hosts"),
    LogPath: sink.driver === "json-file" ? (sink.path ?? "") : "",
    Name: `/${container.name}`,
    RestartCount: state.restartCount,
    Driver: DRIVER_NAMES[snapshots.driver],
    Platform: definition.platform,
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: context.host.appArmor ? (appArmorProfile(hostConfig, context.host) ?? "unconfined") : "",
    ExecIDs: execIds(container),
    HostConfig: { ...hostConfig, Links: linkViews(context, container) },
    GraphDriver: graphDriver(context, container),
    ...(size ? await containerSize(context, container) : {}),
    Mounts: mountViews(context, { ...definition, mounts }),
    Config: configView(config),
    NetworkSettings: networkView(context, container),
  };
}

const DRIVER_NAMES = { overlay: "overlay2", copy: "vfs" } as const;

/** Docker's names for what an overlay is made of. */
function graphDriver({ snapshots, paths }: Context, { id, state }: Container): ContainerInspect["GraphDriver"] {
  const Name = DRIVER_NAMES[snapshots.driver];
  const folders = state.status === "removing" || state.status === "dead" ? undefined : snapshots.folders(id);
  if (folders === undefined) return { Data: {}, Name };
  const Data = {
    ID: id,
    LowerDir: folders.lower.join(":"),
    MergedDir: paths.rootfs(id),
    UpperDir: folders.upper,
    WorkDir: folders.work,
  };
  return { Data, Name };
}

export function stateView(state: State): ContainerState {
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

function execIds({ execIds: ids }: Container): string[] | null {
  return ids.size === 0 ? null : [...ids];
}

/** Fields in Docker's order; the ones that Docker leaves out when empty are left out. */
function configView(config: ContainerConfig): ContainerConfig {
  return {
    Hostname: config.Hostname ?? "",
    Domainname: config.Domainname ?? "",
    User: config.User ?? "",
    AttachStdin: config.AttachStdin ?? false,
    AttachStdout: config.AttachStdout ?? false,
    AttachStderr: config.AttachStderr ?? false,
    ...(keys(config.ExposedPorts) ? { ExposedPorts: config.ExposedPorts } : {}),
    Tty: config.Tty ?? false,
    OpenStdin: config.OpenStdin ?? false,
    StdinOnce: config.StdinOnce ?? false,
    Env: config.Env ?? [],
    Cmd: config.Cmd ?? null,
    ...(config.Healthcheck ? { Healthcheck: config.Healthcheck } : {}),
    ...(config.ArgsEscaped ? { ArgsEscaped: true } : {}),
    Image: config.Image ?? "",
    Volumes: keys(config.Volumes) ? config.Volumes : null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    ...(config.NetworkDisabled ? { NetworkDisabled: true } : {}),
    ...(config.MacAddress ? { MacAddress: config.MacAddress } : {}),
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? {},
    ...(config.StopSignal ? { StopSignal: config.StopSignal } : {}),
    ...(typeof config.StopTimeout === "number" ? { StopTimeout: config.StopTimeout } : {}),
    ...(config.Shell?.length ? { Shell: config.Shell } : {}),
  };
}

function keys(map: object | null | undefined): boolean {
  return Object.keys(map ?? {}).length > 0;
}
