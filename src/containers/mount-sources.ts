/** A container's binds and volumes at its start: sources made or acquired, empty volumes filled from the image. */
import { closeSync, constants, openSync, readlinkSync, statSync } from "node:fs";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import { makeFolders } from "../base/folders.ts";
import { fdPath, O_PATH, openIn } from "../kernel/rooted.ts";
import type { ContainerMount } from "../runtime/container-mounts.ts";
import {
  bindAtPlace,
  bindInside,
  bundleMountPlace,
  checkPropagation,
  clearBundleMounts,
  imageMountKey,
  needsPlace,
} from "./bundle-mounts.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import type { MountRecord } from "./record.ts";

/** `rootfs`: the mounted root file system. What is acquired is released by `releaseMounts`, also when this fails. */
export async function prepareMounts(context: Context, container: Container, rootfs: string): Promise<ContainerMount[]> {
  const prepared: ContainerMount[] = [];
  for (const [index, mount] of container.definition.mounts.entries())
    if (mount.type === "bind") prepared.push(prepareBind(context, container, mount, index));
    else if (mount.type === "image") prepared.push(await prepareImage(context, container, mount, index));
    else prepared.push(await prepareVolume(context, container, mount, { index, rootfs }));
  return prepared;
}

export async function releaseMounts(context: Context, container: Container): Promise<void> {
  await releaseVolumes(context, container, container.id);
  clearBundleMounts(context, container.id);
}

export async function releaseVolumes({ volumes }: Context, container: Container, user: string): Promise<void> {
  for (const { type, name } of container.definition.mounts)
    if (type === "volume" && name !== undefined) await volumes.release(name, user);
}

function prepareBind({ paths }: Context, { id }: Container, mount: MountRecord, index: number): ContainerMount {
  const { source, createSource, nonRecursive } = mount;
  if (statSync(source, { throwIfNoEntry: false }) === undefined) {
    if (!createSource)
      throw new EngineError(
        "invalid",
        `invalid mount config for type "bind": bind source path does not exist: ${source}`,
      );
    try {
      makeFolders(source, 0o755);
    } catch (error) {
      throw new EngineError("internal", `error while creating mount source path '${source}': ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }
  checkPropagation(source, mount.propagation);
  const place = bundleMountPlace(paths, id, index);
  const own = needsPlace(mount);
  if (own) bindAtPlace(mount, place);
  return {
    type: "bind",
    source: own ? place : source,
    target: mount.destination,
    readOnly: !mount.writable,
    propagation: mount.propagation,
    nonRecursive,
  };
}

async function prepareImage(
  { snapshots, paths }: Context,
  { id }: Container,
  { name, destination, subpath }: MountRecord,
  index: number,
): Promise<ContainerMount> {
  const folder = bundleMountPlace(paths, id, index);
  await snapshots.mount(imageMountKey(id, index), folder, { readOnly: true });
  const source = subpath === undefined ? folder : realPathIn(folder, subpath);
  if (source === undefined)
    throw new EngineError("invalid", `cannot access path ${subpath} in image ${name}: no such file or directory`);
  return { type: "bind", source, target: destination, readOnly: true };
}

export interface VolumeUse {
  readonly user: string;
  /** The mounted root file system. */
  readonly rootfs: string;
}

async function prepareVolume(
  context: Context,
  { id }: Container,
  mount: MountRecord,
  { index, rootfs }: { readonly index: number; readonly rootfs: string },
): Promise<ContainerMount> {
  const { folder, readOnly } = await acquireVolume(context, mount, { user: id, rootfs });
  const { name = "", destination: target, subpath } = mount;
  if (subpath === undefined) return { type: "bind", source: folder, target, readOnly };
  const source = bundleMountPlace(context.paths, id, index);
  if (!bindInside(folder, subpath, source)) throw noSubpath(name, subpath);
  return { type: "bind", source, target, readOnly };
}

/** Pair with `releaseVolumes` of the same user, also when it fails. */
export async function acquireVolume(
  { volumes }: Context,
  { name = "", destination, writable, noCopy, subpath }: MountRecord,
  { user, rootfs }: VolumeUse,
): Promise<{ readonly folder: string; readonly readOnly: boolean }> {
  const folder = await volumes.acquire(name, user);
  if (!noCopy && subpath === undefined) {
    const content = realPathIn(rootfs, destination);
    if (content !== undefined) await volumes.copyUp(name, content);
  }
  // Runtimes take the read-only flag of a snapshot's own mount away where they are not told of it.
  const snapshot = volumes.inspect(name).Status?.SnapshotOf !== undefined;
  return { folder, readOnly: !writable || snapshot };
}

export function noSubpath(volume: string, subpath: string): EngineError {
  return new EngineError("invalid", `cannot access path ${subpath} in volume ${volume}: no such file or directory`);
}

/** Where a path inside a root really lies, links followed inside the root; undefined when there is nothing. */
export function realPathIn(root: string, path: string): string | undefined {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = openIn(rootFd, path, { flags: O_PATH });
    try {
      return readlinkSync(fdPath(fd));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "EXDEV"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  } finally {
    closeSync(rootFd);
  }
}
