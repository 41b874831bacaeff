import { chmodSync, lchownSync, statSync } from "node:fs";
import { setTimes } from "../kernel/nodes.ts";
import { applyXattrs, readXattrs } from "./attributes.ts";
import { lookUp } from "./lower.ts";

/**
 * Gives folders that a layer had to make (without describing them) the attributes they have below, so that the layer does not
 * change them. Where nothing is below they stay root's, 0755. `lower`: the trees below, topmost first.
 */
export function inheritAttributes(root: string, implied: readonly string[], lower: readonly string[]): void {
  for (const path of implied) {
    const found = lookUp(lower, path);
    if (found?.stats.isDirectory() === true) copyFolderAttributes(found.full, path === "" ? root : `${root}/${path}`);
  }
}

/** Owner, mode, extended attributes and times. */
export function copyFolderAttributes(from: string, to: string): void {
  const { uid, gid, mode, mtimeNs, atimeNs } = statSync(from, { bigint: true });
  lchownSync(to, Number(uid), Number(gid));
  chmodSync(to, Number(mode & 0o7777n));
  applyXattrs(to, readXattrs(from), new Set());
  setTimes(to, atimeNs, mtimeNs);
}
