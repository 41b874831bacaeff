import { chmodSync, lchownSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { mountOverlay, unmount } from "../kernel/mounts.ts";
import { getXattr, setXattr } from "../kernel/xattrs.ts";
import { OPAQUE_XATTR } from "./attributes.ts";
import type { Driver } from "./driver.ts";

/** Layers side by side, put on top of each other by the kernel when they are mounted. */
export const overlayDriver: Driver = {
  kind: "overlay",
  whiteouts: "overlay",
  layersHoldParents: false,
  stack: (chain) => chain,

  prepare(home, stack) {
    const upper = `${home}/fs`;
    mkdirSync(upper, 0o755);
    mkdirSync(`${home}/work`, 0o711);
    const top = stack[0];
    if (top !== undefined) copyRootAttributes(top, upper);
  },

  mount({ home, stack, init, target, readOnly, ephemeral }) {
    const lower = init === undefined ? stack : [init, ...stack];
    // The mark of a volatile mount that a power cut may have spoilt; what is ephemeral is not kept over one.
    rmSync(`${home}/work/work/incompat`, { recursive: true, force: true });
    mountOverlay({ lower, upper: `${home}/fs`, work: `${home}/work`, target, readOnly, volatile: ephemeral });
  },

  mountView(stack, target) {
    mountOverlay({ lower: stack, target, readOnly: true });
  },
};

/** Tries, below `folder`, what the driver needs: trusted extended attributes and an overlay. Undefined or the reason why not. */
export function overlayUnusable(folder: string): string | undefined {
  try {
    for (const name of ["lower", "fs", "work", "merged"]) mkdirSync(`${folder}/${name}`, { recursive: true });
    setXattr(`${folder}/lower`, OPAQUE_XATTR, "y");
    if (getXattr(`${folder}/lower`, OPAQUE_XATTR) === undefined) return "no trusted extended attributes";
    mountOverlay({
      lower: [`${folder}/lower`],
      upper: `${folder}/fs`,
      work: `${folder}/work`,
      target: `${folder}/merged`,
    });
    unmount(`${folder}/merged`, { detach: true });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A snapshot's root looks as the layer's below: overlay shows the topmost. */
function copyRootAttributes(from: string, to: string): void {
  const { uid, gid, mode } = lstatSync(from);
  if (uid !== 0 || gid !== 0) lchownSync(to, uid, gid);
  chmodSync(to, mode & 0o7777);
}
