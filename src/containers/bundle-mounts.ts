/**
 * What is mounted in a run's bundle, to be bound into the container from there: images, each a snapshot of the container's that nobody
 * writes to; folders without what is mounted below them, which crun would bind along; read-only ones with it, which runtimes leave
 * writable (their "rro" breaks other mounts in crun 1.8); id-mapped ones; and parts of volumes, whose paths others could change before a
 * runtime has followed them.
 */
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { EngineError, errnoOf } from "../base/errors.ts";
import { bindMapped, type MountEntry, type MountFlag, mount, mountTable, unmountIfMounted } from "../kernel/mounts.ts";
import { fdPath, O_PATH, openIn } from "../kernel/rooted.ts";
import type { Paths } from "../store/paths.ts";
import type { Context } from "./context.ts";
import { parseIdMap } from "./id-map.ts";
import type { Definition, MountRecord } from "./record.ts";

/** `index`: of the mount in the container's definition. */
export function imageMountKey(id: string, index: number): string {
  return `${id}-image-${index}`;
}

/** The container that a snapshot belongs to; undefined for one that is no container's. */
export function ownerOfSnapshot(key: string): string | undefined {
  return /^([0-9a-f]{64})(?:-image-\d+)?$/.exec(key)?.[1];
}

export function bundleMountPlace(paths: Paths, id: string, index: number): string {
  return join(paths.bundle(id), `mount-${index}`);
}

/** Whether a bind needs a mount in the bundle; the runtime does the others by itself. */
export function needsPlace(mount: MountRecord): boolean {
  return mount.nonRecursive === true || mount.idMap !== undefined || isReadOnlyBelow(mount);
}

function isReadOnlyBelow({ source, writable, writableBelow, nonRecursive }: MountRecord): boolean {
  return !writable && !writableBelow && !nonRecursive && hasMountsBelow(source);
}

/** Binds what the record says at the place, which is made; `clearBundleMounts` undoes it. */
export function bindAtPlace(record: MountRecord, place: string): void {
  const { source, nonRecursive = false, idMap } = record;
  makePlace(source, place);
  if (idMap !== undefined) mapped(record, idMap, place);
  else mount({ source, target: place, flags: nonRecursive ? ["bind"] : ["bind", "rec"] });
  if (!nonRecursive && isReadOnlyBelow(record)) protectBelow(place);
}

/** Something of its kind to mount over. */
function makePlace(source: string, place: string): void {
  if (statSync(source).isDirectory()) mkdirSync(place, { recursive: true });
  else closeSync(openSync(place, "a"));
}

const CANNOT_MAP: Readonly<Record<string, string>> = {
  EINVAL: "the file system takes no id mapping, or ranges of the mapping overlap",
  EPERM: "it is id-mapped already, or this process may not",
  ENOSYS: "the kernel is too old",
};

function mapped({ source, nonRecursive = false }: MountRecord, idMap: string, place: string): void {
  try {
    bindMapped({ source, target: place, ...parseIdMap(idMap), recursive: !nonRecursive });
  } catch (error) {
    const reason = CANNOT_MAP[errnoOf(error) ?? ""];
    if (reason === undefined) throw error;
    throw new EngineError("invalid", `${source} cannot be id-mapped: ${reason}`, {
      cause: error,
      hint: "id mappings need Linux 5.12; ext4, XFS, btrfs and tmpfs have them, what is mounted below must have them too (or bind-recursive=disabled)",
    });
  }
}

/**
 * Binds a part of a folder, links followed inside the folder alone, also while somebody changes them. False when there is nothing at that
 * path.
 */
export function bindInside(folder: string, path: string, place: string): boolean {
  const root = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const part = openIn(root, path, { flags: O_PATH });
    try {
      makePlace(fdPath(part), place);
      mount({ source: fdPath(part), target: place, flags: ["bind", "rec"] });
      mount({ target: place, flags: ["rec", "private"] });
    } finally {
      closeSync(part);
    }
    return true;
  } catch (error) {
    if (NOT_THERE.has(errnoOf(error) ?? "")) return false;
    throw error;
  } finally {
    closeSync(root);
  }
}

const NOT_THERE = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EXDEV"]);

function hasMountsBelow(folder: string): boolean {
  const prefix = folder === "/" ? "/" : `${folder}/`;
  return mountTable().some(({ target }) => target !== folder && target.startsWith(prefix));
}

/** Makes a bind read-only with all that is mounted below it. What is unmounted there stays mounted here. */
function protectBelow(place: string): void {
  mount({ target: place, flags: ["rec", "private"] });
  for (const { target, options } of mountTable()) {
    if (target !== place && !target.startsWith(`${place}/`)) continue;
    const kept = options.filter((option): option is MountFlag => KEPT.has(option));
    mount({ target, flags: ["remount", "bind", "ro", ...kept] });
  }
}

/** A remount takes away what it does not name. */
const KEPT: ReadonlySet<string> = new Set(["nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"]);

/**
 * Throws "invalid" in Docker's words where a propagation cannot work, because the mount that holds the source is private: nothing would
 * ever come through.
 */
export function checkPropagation(source: string, propagation: string): void {
  const wanted = /^r?(shared|slave)$/.exec(propagation)?.[1];
  if (wanted === undefined) return;
  const real = realpathSync(source);
  const holds = ({ target }: MountEntry) => target === "/" || real === target || real.startsWith(`${target}/`);
  const holder = mountTable()
    .filter(holds)
    .reduce<MountEntry | undefined>(
      (best, entry) => (entry.target.length >= (best?.target.length ?? 0) ? entry : best),
      undefined,
    );
  const peers = wanted === "shared" ? ["shared"] : ["shared", "master"];
  if (holder === undefined || holder.propagation.some((tag) => peers.some((peer) => tag.startsWith(`${peer}:`))))
    return;
  throw new EngineError(
    "invalid",
    `path ${source} is mounted on ${holder.target} but it is not a ${wanted === "shared" ? "shared" : "shared or slave"} mount`,
    { hint: `make it one with: mount --make-rshared ${holder.target}` },
  );
}

/** Makes the snapshots, which keep the images' layers; the container's own is not among them. */
export async function prepareImageMounts(
  { snapshots }: Context,
  id: string,
  mounts: readonly MountRecord[],
): Promise<void> {
  for (const [index, { type, chainId }] of mounts.entries())
    if (type === "image") await snapshots.prepare(imageMountKey(id, index), chainId);
}

/** Idempotent. */
export async function removeImageMounts({ snapshots }: Context, id: string, { mounts }: Definition): Promise<void> {
  for (const [index, { type }] of mounts.entries())
    if (type === "image") await snapshots.remove(imageMountKey(id, index));
}

/** Unmounts what a run has in its bundle. Idempotent. */
export function clearBundleMounts({ paths }: Pick<Context, "paths">, id: string): void {
  for (const name of namesIn(paths.bundle(id)))
    if (/^mount-\d+$/.test(name)) unmountIfMounted(join(paths.bundle(id), name), { detach: true });
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
