/** Volumes that plug-ins have, whether they were made by this engine or not. */
import type { Volume } from "../api/types/volume.ts";
import { errorMessage } from "../base/errors.ts";
import type { Plugin, Plugins } from "../plugins/plugins.ts";
import type { VolumeList } from "./volumes.ts";

/** For all that a plug-in says about its volumes when nobody named it: it may hang. */
const PATIENCE_MS = 2000;

export interface PluginVolume {
  readonly name: string;
  readonly driver: string;
  /** "" when the plug-in does not say. */
  readonly mountpoint: string;
  readonly scope: "local" | "global";
  readonly createdAt: string;
  readonly status: Readonly<Record<string, unknown>> | undefined;
}

interface Told {
  readonly Name?: unknown;
  readonly Mountpoint?: unknown;
  readonly CreatedAt?: unknown;
  readonly Status?: unknown;
}

export interface PluginVolumes {
  readonly volumes: readonly PluginVolume[];
  /** Of plug-ins that could not say. */
  readonly warnings: readonly string[];
}

/** What all volume plug-ins that answer in some seconds have; of one name twice the first. */
export async function listPluginVolumes(plugins: Plugins): Promise<PluginVolumes> {
  const volumes = new Map<string, PluginVolume>();
  const warnings: string[] = [];
  const drivers = await plugins.all("VolumeDriver", PATIENCE_MS);
  await Promise.all(
    drivers.map(async (plugin) => {
      try {
        const options = { timeoutMs: PATIENCE_MS, once: true };
        const [{ Volumes }, scope] = await Promise.all([
          plugin.call<{ Volumes?: unknown }>("VolumeDriver.List", {}, { ...options, whenUnknown: {} }),
          scopeOf(plugin),
        ]);
        for (const told of Array.isArray(Volumes) ? Volumes : []) {
          const volume = read(told, plugin.name, scope);
          if (volume !== undefined && !volumes.has(volume.name)) volumes.set(volume.name, volume);
        }
      } catch (error) {
        warnings.push(`list ${plugin.name}: ${errorMessage(error)}`);
      }
    }),
  );
  return { volumes: [...volumes.values()], warnings };
}

/** The engine's own, with where plug-ins say that theirs are, and after them those that the engine knows nothing of. */
export function withPluginVolumes(own: readonly Volume[], { volumes, warnings }: PluginVolumes): VolumeList {
  const told = new Map(volumes.map((volume) => [volume.name, volume]));
  const known = own.map((volume) => {
    const same = told.get(volume.Name);
    if (same?.driver !== volume.Driver) return volume;
    return { ...volume, Mountpoint: same.mountpoint || volume.Mountpoint, Scope: same.scope };
  });
  const names = new Set(own.map(({ Name }) => Name));
  return { volumes: [...known, ...volumes.filter(({ name }) => !names.has(name)).map(wireOfPlugin)], warnings };
}

export function wireOfPlugin({ name, driver, mountpoint, scope, createdAt, status }: PluginVolume): Volume {
  return {
    ...(createdAt === "" ? {} : { CreatedAt: createdAt }),
    Driver: driver,
    Labels: null,
    Mountpoint: mountpoint,
    Name: name,
    Options: null,
    Scope: scope,
    ...(status === undefined ? {} : { Status: { ...status } }),
  } as unknown as Volume;
}

/** The volume of this name that a plug-in has; undefined when none that answers in some seconds has one. */
export async function findPluginVolume(plugins: Plugins, name: string): Promise<PluginVolume | undefined> {
  const drivers = await plugins.all("VolumeDriver", PATIENCE_MS);
  const found = await Promise.all(
    drivers.map(async (plugin) => {
      try {
        const options = { timeoutMs: PATIENCE_MS, once: true };
        const { Volume } = await plugin.call<{ Volume?: Told }>("VolumeDriver.Get", { Name: name }, options);
        return Volume == null ? undefined : read({ ...Volume, Name: name }, plugin.name, await scopeOf(plugin));
      } catch {
        return undefined;
      }
    }),
  );
  return found.find((volume) => volume !== undefined);
}

/** "local" also where the plug-in does not say, or not in time: its volumes are there all the same. */
export async function scopeOf(plugin: Plugin): Promise<"local" | "global"> {
  const { Capabilities } = await plugin
    .call<{ Capabilities?: { Scope?: unknown } }>(
      "VolumeDriver.Capabilities",
      {},
      { timeoutMs: PATIENCE_MS, whenUnknown: {} },
    )
    .catch(() => ({ Capabilities: undefined }));
  return Capabilities?.Scope === "global" ? "global" : "local";
}

function read(told: unknown, driver: string, scope: "local" | "global"): PluginVolume | undefined {
  if (typeof told !== "object" || told === null) return undefined;
  const { Name, Mountpoint, CreatedAt, Status } = told as Told;
  if (typeof Name !== "string" || Name === "") return undefined;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return Object.freeze({
    name: Name,
    driver,
    mountpoint: text(Mountpoint),
    scope,
    createdAt: text(CreatedAt),
    status: typeof Status === "object" && Status !== null ? { ...Status } : undefined,
  });
}
