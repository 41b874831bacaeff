/** Mounts of this mount namespace: mount(2), umount2(2), overlays, and the table in /proc/self/mountinfo. */
import { readFileSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";
import { native } from "./native.ts";
import { mountOverlayByOptions } from "./overlay-options.ts";

/** mount(2)'s flags, by name. */
export const MOUNT_FLAGS = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  sync: 16,
  remount: 32,
  noatime: 1024,
  nodiratime: 2048,
  bind: 4096,
  move: 8192,
  rec: 16384,
  silent: 32768,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
  strictatime: 1 << 24,
  lazytime: 1 << 25,
} as const;
export type MountFlag = keyof typeof MOUNT_FLAGS;

export interface MountRequest {
  readonly source?: string | undefined;
  readonly target: string;
  readonly type?: string | undefined;
  readonly flags?: readonly MountFlag[] | undefined;
  /** File system options, comma-separated. */
  readonly data?: string | undefined;
}

export interface MountEntry {
  readonly id: number;
  readonly parent: number;
  /** The part of the file system that is mounted ("/" or a bind's source inside it). */
  readonly root: string;
  readonly target: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
  /** "shared:7", "master:3" …; empty for a private mount. */
  readonly propagation: readonly string[];
}

export interface OverlayRequest {
  /** Read-only folders, the topmost first; at least one, two without `upper`. About 220 on kernels before 6.5, else no limit. */
  readonly lower: readonly string[];
  readonly upper?: string | undefined;
  readonly work?: string | undefined;
  readonly target: string;
  readonly readOnly?: boolean | undefined;
  /** Nothing is synced, neither for a program that asks nor at the unmount: for what nobody wants back after a power cut. */
  readonly volatile?: boolean | undefined;
}

export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

export function mount({ source, target, type, flags = [], data }: MountRequest): void {
  native.mount(source ?? null, target, type ?? null, flagBits(flags), data ?? null);
}

/** As mount(2) takes them. */
export function flagBits(flags: readonly MountFlag[]): number {
  let bits = 0;
  for (const flag of flags) bits |= MOUNT_FLAGS[flag];
  return bits;
}

export interface MappedBind {
  readonly source: string;
  readonly target: string;
  /** Lines of user_namespaces(7), ids of the files first. */
  readonly uids: string;
  readonly gids: string;
  /** With what is mounted below the source, which must all take a mapping. */
  readonly recursive: boolean;
}

/**
 * A private bind that shows other owners than the files have, and writes theirs back (mount_setattr(2), Linux 5.12). Throws EINVAL where the
 * file system cannot or the maps overlap, EPERM for what is mapped already.
 */
export function bindMapped({ source, target, uids, gids, recursive }: MappedBind): void {
  native.bindMapped(source, target, uids, gids, recursive ? 1 : 0);
}

/** Throws EINVAL when nothing is mounted there. `detach`: out of sight now, gone when no longer used. */
export function unmount(target: string, { detach = false }: { detach?: boolean } = {}): void {
  native.unmount(target, UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0));
}

/** As `unmount`, on the thread pool: an overlay's last unmount waits until its whole file system is written. */
export async function unmountAside(target: string, { detach = false }: { detach?: boolean } = {}): Promise<void> {
  await native.unmountAside(target, UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0));
}

/** Unmounts what may or may not be mounted there; true when something was. */
export function unmountIfMounted(target: string, options: { detach?: boolean } = {}): boolean {
  try {
    unmount(target, options);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EINVAL" || errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** By "lowerdir+", which kernels have since 6.5; on older ones by the option string of mount(2). */
export function mountOverlay({ lower, upper, work, target, readOnly = false, volatile = false }: OverlayRequest): void {
  try {
    native.mountOverlay(lower, upper ?? null, work ?? null, target, readOnly ? 1 : 0, volatile ? 1 : 0);
  } catch (error) {
    if (errnoOf(error) !== "EINVAL" && errnoOf(error) !== "ENOSYS") throw error;
    mountOverlayByOptions({ lower, upper, work, target, readOnly, volatile });
  }
}

/** This process's mounts in the order they were made, from proc_pid_mountinfo(5). */
export function mountTable(): MountEntry[] {
  return readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter(Boolean).map(parseEntry);
}

export function isMountPoint(path: string): boolean {
  return mountTable().some((entry) => entry.target === path);
}

function parseEntry(line: string): MountEntry {
  const [left = "", right = ""] = line.split(" - ");
  const [id = "", parent = "", , root = "", target = "", options = "", ...propagation] = left.split(" ");
  const [type = "", source = "", superOptions = ""] = right.split(" ");
  return {
    id: Number(id),
    parent: Number(parent),
    root: unescapeOctal(root),
    target: unescapeOctal(target),
    type,
    source: unescapeOctal(source),
    options: [...options.split(","), ...superOptions.split(",")],
    propagation,
  };
}

/** Spaces and the like are octal: "\040". */
function unescapeOctal(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
