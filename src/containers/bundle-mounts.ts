/**
 * What is mounted in a run's bundle, to be bound into the container from there: images, each a snapshot of the container's that nobody
 * writes to; folders without what is mounted below them, which crun would bind along; and read-only ones with it, which runtimes leave
 * writable (their "rro" breaks other mounts in crun 1.8).
 */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type MountFlag, mount, mountTable, unmountIfMounted } from "../kernel/mounts.ts";
import type { Paths } from "../store/paths.ts";
import type { Context } from "./context.ts";
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

/** Binds a file or folder, and nothing that is mounted below it. */
export function bindFlat(source: string, place: string): void {
  if (statSync(source).isDirectory()) mkdirSync(place, { recursive: true });
  else closeSync(openSync(place, "a"));
  mount({ source, target: place, flags: ["bind"] });
}

export function hasMountsBelow(folder: string): boolean {
  const prefix = folder === "/" ? "/" : `${folder}/`;
  return mountTable().some(({ target }) => target !== folder && target.startsWith(prefix));
}

/** Binds a folder with all that is mounted below it, read-only throughout. What is unmounted here stays mounted there. */
export function bindReadOnly(source: string, place: string): void {
  mkdirSync(place, { recursive: true });
  mount({ source, target: place, flags: ["bind", "rec"] });
  mount({ target: place, flags: ["rec", "private"] });
  for (const { target, options } of mountTable()) {
    if (target !== place && !target.startsWith(`${place}/`)) continue;
    const kept = options.filter((option): option is MountFlag => KEPT.has(option));
    mount({ target, flags: ["remount", "bind", "ro", ...kept] });
  }
}

/** A remount takes away what it does not name. */
const KEPT: ReadonlySet<string> = new Set(["nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"]);

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
