import { mkdirSync } from "node:fs";
import { mount } from "../kernel/mounts.ts";
import { copyTree } from "./copy-tree.ts";
import type { Driver } from "./driver.ts";

/** Whole trees, copied (sharing blocks where the file system can): for places where the kernel has no overlay to offer. */
export const copyDriver: Driver = {
  kind: "copy",
  whiteouts: "apply",
  layersHoldParents: true,
  stack: (chain) => chain.slice(0, 1),

  async prepare(home, stack, init) {
    const root = `${home}/fs`;
    mkdirSync(root, 0o755);
    const top = stack[0];
    if (top !== undefined) await copyTree(top, root);
    if (init !== undefined) await copyTree(init, root);
  },

  mount({ home, target, readOnly }) {
    mount({ source: `${home}/fs`, target, flags: ["bind"] });
    if (readOnly) mount({ target, flags: ["bind", "remount", "ro"] });
  },

  mountView(stack, target) {
    mount({ source: stack[0] ?? target, target, flags: ["bind"] });
    mount({ target, flags: ["bind", "remount", "ro"] });
  },
};
