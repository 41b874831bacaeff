import { chmodSync, lchownSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";
import { getXattr, listXattrs, setXattr } from "../kernel/xattrs.ts";

export const OPAQUE_XATTR = "trusted.overlay.opaque";
/** Overlay's own notes: an archive must not bring them in, and a diff does not carry them. */
const PRIVATE_XATTR = /^(?:trusted|user)\.overlay\./;
/** Of this machine, not of the tree. */
const LOCAL_XATTR = /^(?:security\.selinux|security\.ima|security\.evm)$/;

export function applyOwner(path: string, uid: number, gid: number): void {
  lchownSync(path, uid, gid);
}

/** `path` is no symbolic link. */
export function applyMode(path: string, mode: number): void {
  chmodSync(path, mode);
}

/** Sets what the file system takes; the names of what it refuses go into `refused`. Overlay's own are left out. */
export function applyXattrs(path: string, xattrs: ReadonlyMap<string, Buffer>, refused: Set<string>): void {
  for (const [name, value] of xattrs) {
    if (PRIVATE_XATTR.test(name)) continue;
    try {
      setXattr(path, name, value);
    } catch (error) {
      if (!["ENOTSUP", "EOPNOTSUPP", "EPERM", "EINVAL"].includes(errnoOf(error) ?? "")) throw error;
      refused.add(name);
    }
  }
}

/** All that belong to the tree. */
export function readXattrs(path: string | Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of namesOf(path)) {
    const value = PRIVATE_XATTR.test(name) || LOCAL_XATTR.test(name) ? undefined : getXattr(path, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

export function isOpaque(path: string | Buffer): boolean {
  return getXattr(path, OPAQUE_XATTR)?.toString("latin1") === "y";
}

function namesOf(path: string | Buffer): string[] {
  try {
    return listXattrs(path);
  } catch (error) {
    if (errnoOf(error) === "ENOTSUP" || errnoOf(error) === "EOPNOTSUPP") return [];
    throw error;
  }
}
