import { mkdirSync, rmdirSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";
import { isMountPoint, mount, unmount } from "../kernel/mounts.ts";

/** A /dev/shm that other containers can join: a tmpfs of `size` bytes at `path`, which is made. Idempotent. */
export function mountShm(path: string, size: number): void {
  mkdirSync(path, { recursive: true });
  if (isMountPoint(path)) return;
  mount({
    source: "shm",
    target: path,
    type: "tmpfs",
    flags: ["nosuid", "nodev", "noexec"],
    data: `mode=1777,size=${size}`,
  });
}

/** Idempotent; containers that joined keep theirs until they end. */
export function unmountShm(path: string): void {
  try {
    if (isMountPoint(path)) unmount(path, { detach: true });
    rmdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
