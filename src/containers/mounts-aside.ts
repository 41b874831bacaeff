/** A look into a container that does not run: its root file system with what would be mounted in it. */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { EngineError } from "../base/errors.ts";
import { type StagedMount, withStage } from "../kernel/stage.ts";
import { bindAtPlace, bundleMountPlace, clearBundleMounts } from "./bundle-mounts.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { acquireVolume, noSubpath, realPathIn, releaseVolumes } from "./mount-sources.ts";
import type { MountRecord } from "./record.ts";
import { removeBundle } from "./release.ts";

let uses = 0;

/** Binds whose source is not there are left out. `rootFd` is closed, and nothing stays mounted, when the work is done. */
export function withMountsAside<T>(
  context: Context,
  container: Container,
  work: (rootFd: number) => Promise<T>,
): Promise<T> {
  const { id, definition } = container;
  const user = `${id}-files-${uses++}`;
  const images = definition.mounts.filter(({ type }) => type === "image");
  return context.rootfs.use(id, async (rootfs) => {
    try {
      const own: StagedMount[] = [];
      for (const mount of definition.mounts) {
        const { source, destination: target, writable, nonRecursive: flat } = mount;
        if (mount.type === "volume") {
          const { folder, readOnly } = await acquireVolume(context, mount, { user, rootfs });
          const { subpath, name = "" } = mount;
          if (subpath !== undefined && realPathIn(folder, subpath) === undefined) throw noSubpath(name, subpath);
          own.push({ source: folder, part: subpath, target, readOnly });
        } else if (mount.type === "bind" && existsSync(source))
          own.push({ source: sourceOf(context, mount, user), target, readOnly: !writable, flat });
      }
      return await withImages(context, images, own, (all) => withStage(rootfs, inOrder(all), work));
    } finally {
      clearBundleMounts(context, user);
      removeBundle(context, user);
      await releaseVolumes(context, container, user);
    }
  });
}

/** Where the owners are those that the container sees: for an id-mapped bind a place among the bundles, which the next engine clears after a kill. */
function sourceOf({ paths }: Context, mount: MountRecord, user: string): string {
  if (mount.idMap === undefined) return mount.source;
  const bundle = paths.bundle(user);
  mkdirSync(bundle, { recursive: true, mode: 0o700 });
  const place = bundleMountPlace(paths, user, readdirSync(bundle).length);
  bindAtPlace(mount, place);
  return place;
}

/** What holds another one comes before it. */
function inOrder(mounts: readonly StagedMount[]): StagedMount[] {
  const depth = ({ target }: StagedMount) => target.split("/").length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

/** Each image's layers are mounted while the next ones and the work are under way. */
async function withImages<T>(
  context: Context,
  [mount, ...others]: readonly MountRecord[],
  known: readonly StagedMount[],
  work: (all: readonly StagedMount[]) => Promise<T>,
): Promise<T> {
  if (mount === undefined) return work(known);
  const { chainId, destination: target, subpath, name } = mount;
  if (chainId === undefined) return withImages(context, others, known, work);
  return context.snapshots.withLayer(chainId, async (root) => {
    const source = subpath === undefined ? root : realPathIn(root, subpath);
    if (source === undefined)
      throw new EngineError("invalid", `cannot access path ${subpath} in image ${name}: no such file or directory`);
    return withImages(context, others, [...known, { source, target, readOnly: true }], work);
  });
}
