import type { ContainerSummary } from "../api/types/container.ts";
import type { DiskUsage } from "../api/types/system.ts";
import type { Volume } from "../api/types/volume.ts";
import type { Builder } from "../builder/builder.ts";
import type { Containers } from "../containers/containers.ts";
import type { Images } from "../images/images.ts";
import { treeUsage } from "../kernel/trees.ts";
import { type RootUsage, rootUsage } from "../registry/storage/usage.ts";
import type { Remote } from "../remote/remote.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Paths } from "../store/paths.ts";
import type { Volumes } from "../volumes/volumes.ts";

export interface UsageSources {
  readonly containers: Containers;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly builder: Builder;
  readonly snapshots: Snapshots;
  readonly paths: Paths;
  readonly remote: Remote;
  readonly volumeUsers: () => ReadonlyMap<string, readonly string[]>;
}

/** GET /system/df: what the engine keeps on the disk. `types` empty: everything. */
export async function diskUsage(sources: UsageSources, types: readonly string[]): Promise<DiskUsage> {
  const wanted = (type: string) => types.length === 0 || types.includes(type);
  const { images } = sources;
  const [imageList, containerList, volumeList] = await Promise.all([
    wanted("image")
      ? images.list({ all: false, filters: {}, sharedSize: true, digests: false, manifests: false })
      : null,
    wanted("container") ? containerUsage(sources) : null,
    wanted("volume") ? volumeUsage(sources) : null,
  ]);
  return {
    LayersSize: wanted("image") ? await images.layersSize() : 0,
    Images: imageList,
    Containers: containerList,
    Volumes: volumeList,
    BuildCache: wanted("build-cache") ? sources.builder.diskUsage() : null,
    ...(types.length === 0 && (await registryUsage(sources))),
  };
}

/** What serves now, wherever its files are, and what an earlier one left in the data root. */
async function registryUsage({ paths, remote }: UsageSources): Promise<Pick<DiskUsage, "Registry">> {
  const roots = new Set([paths.registry, remote.neighbour?.folder ?? paths.registry]);
  const found = (await Promise.all([...roots].map(rootUsage))).filter((usage) => usage !== undefined);
  if (found.length === 0) return {};
  const sum = (of: (usage: RootUsage) => number) => found.reduce((before, usage) => before + of(usage), 0);
  return { Registry: { Repositories: sum(({ repositories }) => repositories), Size: sum(({ size }) => size) } };
}

/** Every container; its size is what it takes on the disk, with its logs. */
async function containerUsage({ containers, snapshots, paths }: UsageSources): Promise<ContainerSummary[]> {
  const list = await containers.list({ all: true, size: false, filters: {} });
  return Promise.all(
    list.map(async (container) => {
      const tree = snapshots.occupied(container.Id).catch(() => 0);
      const files = treeUsage(paths.container(container.Id)).then(
        ({ allocated }) => allocated,
        () => 0,
      );
      const { ImageManifestDescriptor: _, ...rest } = container;
      return { ...rest, SizeRw: (await tree) + (await files) };
    }),
  );
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
