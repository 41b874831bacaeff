import type { DiskUsage } from "../api/types/system.ts";
import type { Volume } from "../api/types/volume.ts";
import type { Builder } from "../builder/builder.ts";
import type { Containers } from "../containers/containers.ts";
import type { Images } from "../images/images.ts";
import type { Volumes } from "../volumes/volumes.ts";

export interface UsageSources {
  readonly containers: Containers;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly builder: Builder;
  readonly volumeUsers: () => ReadonlyMap<string, readonly string[]>;
}

/** GET /system/df: what the engine keeps on the disk. `types` empty: everything. */
export async function diskUsage(sources: UsageSources, types: readonly string[]): Promise<DiskUsage> {
  const wanted = (type: string) => types.length === 0 || types.includes(type);
  const { containers, images } = sources;
  const [imageList, containerList, volumeList] = await Promise.all([
    wanted("image")
      ? images.list({ all: false, filters: {}, sharedSize: true, digests: false, manifests: false })
      : null,
    wanted("container") ? containers.list({ all: true, size: true, filters: {} }) : null,
    wanted("volume") ? volumeUsage(sources) : null,
  ]);
  return {
    LayersSize: wanted("image") ? await images.layersSize() : 0,
    Images: imageList,
    Containers: containerList,
    Volumes: volumeList,
    BuildCache: wanted("build-cache") ? sources.builder.diskUsage() : null,
  };
}

/** Every volume with its size and how many containers refer to it. */
export async function volumeUsage({
  volumes,
  volumeUsers,
}: Pick<UsageSources, "volumes" | "volumeUsers">): Promise<Volume[]> {
  const users = volumeUsers();
  return Promise.all(
    volumes.list().map(async (volume) => ({
      ...volume,
      UsageData: { Size: await volumes.usage(volume.Name), RefCount: users.get(volume.Name)?.length ?? 0 },
    })),
  );
}
