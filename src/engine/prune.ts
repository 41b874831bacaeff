import type { NetworkPruneResult } from "../api/types/network.ts";
import type { VolumePruneResult } from "../api/types/volume.ts";
import { errorKind } from "../base/errors.ts";
import { parsePointInTime } from "../base/points-in-time.ts";
import type { Events } from "../events/events.ts";
import type { Filters } from "../images/images.ts";
import type { Networks } from "../networks/networks.ts";
import type { Volumes } from "../volumes/volumes.ts";

export interface PruneSources {
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly events: Events;
  readonly volumeUsers: () => ReadonlyMap<string, readonly string[]>;
}

const ANONYMOUS = "com.docker.volume.anonymous";

/**
 * Removes the anonymous volumes that no container refers to; with the filter `all` the named ones too, but never a snapshot (that is
 * somebody's way back), nor, as in Docker, one that lies elsewhere: with options, or of another driver.
 */
export async function pruneVolumes(sources: PruneSources, filters: Filters): Promise<VolumePruneResult> {
  const { volumes, events, volumeUsers } = sources;
  const all = (filters.all ?? []).some((value) => value === "1" || value.toLowerCase() === "true");
  const users = volumeUsers();
  const removed: string[] = [];
  let reclaimed = 0;
  for (const { Name, Labels, Status, Driver, Options } of volumes.list()) {
    const labels = Labels ?? {};
    if (
      (users.get(Name)?.length ?? 0) > 0 ||
      Status?.SnapshotOf !== undefined ||
      Driver !== "local" ||
      Object.keys(Options ?? {}).length > 0 ||
      (!all && labels[ANONYMOUS] === undefined) ||
      !labelsMatch(labels, filters)
    )
      continue;
    const size = Math.max(0, await volumes.usage(Name));
    if (
      !(await removedUnlessUsed(() => volumes.remove(Name, { force: false, inUseBy: volumeUsers().get(Name) ?? [] })))
    )
      continue;
    removed.push(Name);
    reclaimed += size;
  }
  events.publish({ type: "volume", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { VolumesDeleted: removed, SpaceReclaimed: reclaimed };
}

/** Removes the user-defined networks without endpoints; those that only configure others stay. */
export async function pruneNetworks({ networks, events }: PruneSources, filters: Filters): Promise<NetworkPruneResult> {
  const until = untilTime(filters);
  const removed: string[] = [];
  for (const network of networks.list()) {
    const { Name, Labels, Created, ConfigOnly } = network;
    if (ConfigOnly || PREDEFINED.has(Name) || Object.keys(network.Containers ?? {}).length > 0) continue;
    if (!labelsMatch(Labels ?? {}, filters) || (until !== undefined && Date.parse(Created) >= until)) continue;
    if (await removedUnlessUsed(() => networks.remove(Name))) removed.push(Name);
  }
  events.publish({ type: "network", action: "prune", id: "", attributes: { reclaimed: "0" } });
  return { NetworksDeleted: removed };
}

const PREDEFINED = new Set(["bridge", "host", "none"]);

/** False for what someone took into use, or removed, in between. */
async function removedUnlessUsed(remove: () => Promise<void>): Promise<boolean> {
  try {
    await remove();
    return true;
  } catch (error) {
    if (["conflict", "forbidden", "not-found"].includes(errorKind(error))) return false;
    throw error;
  }
}

/** `label` filters must all hold and no `label!` may. */
function labelsMatch(labels: Readonly<Record<string, string>>, filters: Filters): boolean {
  const has = (filter: string) => {
    const [key = "", ...rest] = filter.split("=");
    return Object.hasOwn(labels, key) && (rest.length === 0 || labels[key] === rest.join("="));
  };
  return (filters.label ?? []).every(has) && !(filters["label!"] ?? []).some(has);
}

/** Milliseconds since the epoch. */
function untilTime(filters: Filters): number | undefined {
  const text = filters.until?.[0];
  return text === undefined ? undefined : parsePointInTime(text, Date.now());
}
