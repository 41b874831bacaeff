import { mkdirSync, rmSync } from "node:fs";
import { hostname as machineName } from "node:os";
import type {
  ContainerConfig,
  ContainerCreateRequest,
  ContainerCreateResult,
  HostConfig,
  NetworkingConfig,
} from "../api/types/container.ts";
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { newId, shortId } from "../base/ids.ts";
import { timestamp } from "../base/time.ts";
import type { Image } from "../images/images.ts";
import { formatPlatform, HOST_PLATFORM, parsePlatform, platformRank } from "../oci/platform.ts";
import { validateCreate } from "../runtime/validate.ts";
import { prepareImageMounts, removeImageMounts } from "./bundle-mounts.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { completeHostConfig } from "./host-config.ts";
import { mergeImageConfig } from "./image-config.ts";
import { resolveLinks } from "./links.ts";
import { logSubject } from "./log-subject.ts";
import { type PlannedMount, planMounts } from "./mount-points.ts";
import { checkName, inventName } from "./names.ts";
import { notify } from "./notify.ts";
import type { Definition } from "./record.ts";
import type { NewContainer } from "./registry.ts";

const ANONYMOUS = "com.docker.volume.anonymous";

/**
 * Makes the container's record, its writable snapshot and its volumes; no process, no mount. On failure nothing is left but
 * named volumes that it needed; the same after a kill, at the next start.
 */
export async function createContainer(
  context: Context,
  {
    name: asked,
    request,
    platform,
  }: { name: string | undefined; request: ContainerCreateRequest; platform: string | undefined },
): Promise<ContainerCreateResult> {
  const { registry } = context;
  const wishedName = asked === undefined || asked === "" ? undefined : checkName(asked);
  const id = newId();
  const { definition, image, mounts, warnings } = define(context, id, request, platform);
  const name = wishedName ?? inventName((wish) => registry.nameOwner(wish) !== undefined);
  const createdAt = timestamp();
  checkLog(context, { id, name, createdAt, definition });
  const container = registry.insert({ id, name, createdAt, definition });
  try {
    mkdirSync(context.paths.container(id), { recursive: true, mode: 0o710 });
    // The image of another platform than the host's is unpacked when it is first used.
    for (const used of [image, ...imagesOf(mounts, context)]) await context.images.unpack(used);
    await allDone([
      context.snapshots.prepare(id, definition.chainId),
      prepareImageMounts(context, id, definition.mounts),
      ...makeVolumes(context, mounts),
    ]);
    // What goes with its own end need not outlive a power cut.
    registry.complete(container, mounts, { durable: definition.hostConfig.AutoRemove !== true });
  } catch (error) {
    await discard(context, container);
    throw error;
  }
  notify(context, container, "create");
  return { Id: id, Warnings: warnings };
}

function imagesOf(mounts: readonly PlannedMount[], { images }: Context): Image[] {
  return mounts.flatMap(({ type, name = "" }) => (type === "image" ? [mountedImage(images, name)] : []));
}

/** "invalid", not "not-found": for that clients would pull the container's own image. */
function mountedImage(images: Context["images"], name = ""): Image {
  try {
    return images.get(name);
  } catch (error) {
    const message = `invalid mount config for type "image": ${errorMessage(error)}`;
    throw new EngineError("invalid", message, { hint: `pull it first: gantry pull ${name}`, cause: error });
  }
}

/** Its lines are not written yet; what is wrong with them is said now all the same. */
function checkLog({ logs, paths }: Context, { definition, ...container }: NewContainer): void {
  const subject = logSubject(container, definition);
  logs.sinkOfRun(definition.hostConfig.LogConfig ?? {}, paths.container(container.id), subject);
}

/** Undoes a create that did not come to its end. Idempotent. */
export async function discard(context: Context, container: Container): Promise<void> {
  const { snapshots, volumes, registry, paths } = context;
  await snapshots.remove(container.id);
  await removeImageMounts(context, container.id, container.definition);
  for (const mount of container.definition.mounts)
    if (mount.anonymous && mount.name !== undefined)
      await volumes.remove(mount.name, { force: true, inUseBy: [] }).catch(() => {});
  rmSync(paths.container(container.id), { recursive: true, force: true });
  registry.delete(container);
}

interface Defined {
  readonly image: Image;
  readonly definition: Definition;
  readonly mounts: readonly PlannedMount[];
  readonly warnings: string[];
}

function define(
  context: Context,
  id: string,
  { HostConfig: wishedHost, NetworkingConfig: networking, ...wished }: ContainerCreateRequest,
  platform: string | undefined,
): Defined {
  const { images, runtime, cgroups, host } = context;
  if (!wished.Image) throw new EngineError("invalid", "invalid reference format");
  const image = images.get(wished.Image, platform ? parsePlatform(platform) : undefined);
  const asked = withoutNetwork(wished, resolveNames(context, wishedHost ?? {}));
  const warnings = validateCreate(wished, asked, {
    features: cgroups.features,
    host,
    runtimes: runtime.runtimes.map((known) => known.name),
  });
  const merged = mergeImageConfig(wished, image.config.config ?? {});
  const hostConfig = completeHostConfig(asked, context);
  const mounts = planMounts(merged, hostConfig, {
    mountsOf: (reference) => context.registry.get(reference).definition.mounts,
  });
  const config = { ...merged, Hostname: merged.Hostname || defaultHostname(id, hostConfig) };
  const definition: Definition = {
    config,
    hostConfig,
    endpoints: wishedEndpoints(config, hostConfig, networking),
    imageId: image.id,
    chainId: image.chainId,
    mounts: mounts.map(({ volume: _, ...mount }) =>
      mount.type === "image" ? { ...mount, chainId: mountedImage(images, mount.name).chainId } : mount,
    ),
    platform: image.config.os || "linux",
  };
  return { definition, image, mounts, warnings: [...platformWarning(image, platform), ...warnings] };
}

/** Of an image that this machine does not run by itself, and that nobody asked for. */
function platformWarning({ config }: Image, wished: string | undefined): string[] {
  if (wished || platformRank(HOST_PLATFORM, config) > 0) return [];
  const [image, machine] = [formatPlatform(config), formatPlatform(HOST_PLATFORM)];
  return [
    `The requested image's platform (${image}) does not match the detected host platform (${machine}) and no specific platform was requested`,
  ];
}

/** A container's name in a mode may change hands; its id may not. Throws "not-found". */
function resolveNames({ registry }: Context, hostConfig: HostConfig): HostConfig {
  const resolved = (mode: string | undefined) => {
    const name = /^container:(.+)$/.exec(mode ?? "")?.[1];
    return name === undefined ? mode : `container:${donorId(registry, name)}`;
  };
  const { NetworkMode, IpcMode, PidMode } = hostConfig;
  const modes = { NetworkMode: resolved(NetworkMode), IpcMode: resolved(IpcMode), PidMode: resolved(PidMode) };
  return { ...hostConfig, ...modes, Links: resolveLinks({ registry }, hostConfig.Links) };
}

/** Unless another network was asked for by name. */
function withoutNetwork({ NetworkDisabled }: ContainerConfig, hostConfig: HostConfig): HostConfig {
  const { NetworkMode = "" } = hostConfig;
  const any = NetworkMode === "" || NetworkMode === "default" || NetworkMode === "bridge";
  return NetworkDisabled && any ? { ...hostConfig, NetworkMode: "none" } : hostConfig;
}

/** "invalid" when there is none: to "not-found" the docker CLI answers by pulling the image that the request names. */
function donorId(registry: Context["registry"], name: string): string {
  try {
    return registry.get(name).id;
  } catch (error) {
    if (errorKind(error) !== "not-found") throw error;
    throw new EngineError("invalid", errorMessage(error), { cause: error });
  }
}

/** A container in the host's network or UTS namespace has the host's name. */
function defaultHostname(id: string, { NetworkMode = "", UTSMode = "" }: HostConfig): string {
  if (NetworkMode === "host" || UTSMode === "host") return machineName();
  return NetworkMode.startsWith("container:") ? "" : shortId(id);
}

function wishedEndpoints(
  config: ContainerConfig,
  { NetworkMode = "" }: HostConfig,
  networking: NetworkingConfig | undefined,
): Record<string, EndpointSettings> {
  if (NetworkMode.startsWith("container:")) return {};
  const { default: standard, ...others } = networking?.EndpointsConfig ?? {};
  const primary = { ...standard, ...others[NetworkMode] };
  const mac = config.MacAddress || primary.MacAddress;
  return { ...others, [NetworkMode]: mac ? { ...primary, MacAddress: mac } : primary };
}

function makeVolumes({ volumes }: Context, mounts: readonly PlannedMount[]): Promise<unknown>[] {
  return mounts.flatMap(({ type, name, volume, anonymous }) => {
    if (type !== "volume" || name === undefined || volume === undefined) return [];
    const labels = anonymous ? { ...volume.labels, [ANONYMOUS]: "" } : volume.labels;
    return [
      volumes
        .create({
          Name: name,
          Driver: volume.driver,
          DriverOpts: volume.options === undefined ? undefined : { ...volume.options },
          Labels: labels === undefined ? undefined : { ...labels },
        })
        .catch(notForThePuller),
    ];
  });
}

/** A driver that is not there is "invalid" here: for "not-found" clients would pull the container's image and try again. */
function notForThePuller(error: unknown): never {
  if (!(error instanceof EngineError) || error.kind !== "not-found") throw error;
  throw new EngineError("invalid", error.message, { hint: error.hint, cause: error });
}

/** Waits for all, also when one fails, so that what undoes them finds them finished. */
export async function allDone(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}
