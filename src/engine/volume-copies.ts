import type { Readable } from "node:stream";
import type { Volume } from "../api/types/volume.ts";
import type { ImageUse } from "../images/images.ts";
import type { CopyOptions, Still, Volumes } from "../volumes/volumes.ts";

export interface VolumeCopySources {
  readonly volumes: Volumes;
  readonly containers: {
    imageUses(): ImageUse[];
    holdStill<T>(ids: readonly string[], work: () => Promise<T>): Promise<T>;
  };
  readonly volumeUsers: () => ReadonlyMap<string, readonly string[]>;
}

/** Volumes' own copying, with the containers that write to them standing still for the last of it. */
export function copyVolume(
  sources: VolumeCopySources,
  name: string,
  options: Omit<CopyOptions, "still">,
): Promise<Volume> {
  return sources.volumes.copy(name, { ...options, still: stillOf(sources, name) });
}

export function exportVolume(sources: VolumeCopySources, name: string): Promise<Readable> {
  return sources.volumes.export(name, writersOf(sources, name).length > 0 ? stillOf(sources, name) : undefined);
}

/** Who writes is asked when it matters: some may have started since. */
function stillOf(sources: VolumeCopySources, name: string): Still {
  return (last) => sources.containers.holdStill(writersOf(sources, name), last);
}

function writersOf({ containers, volumeUsers }: VolumeCopySources, name: string): string[] {
  const users = new Set(volumeUsers().get(name));
  return containers
    .imageUses()
    .flatMap(({ containerId, running }) => (running && users.has(containerId) ? [containerId] : []));
}
