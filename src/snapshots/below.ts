import { readlinkSync } from "node:fs";
import { EngineError } from "../base/errors.ts";
import { type Found, lookUp } from "./lower.ts";

/** As the kernel's limit for one path. */
const MAX_LINKS = 40;

/** What the layers below a new one show, read without mounting them. Paths are relative and clean; "" is the root. */
export class Below {
  readonly #folders: readonly string[];

  /** The trees, topmost first. */
  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Of the entry itself; the way to it must have no links. */
  find(path: string): Found | undefined {
    return this.#folders.length === 0 ? undefined : lookUp(this.#folders, path);
  }

  /**
   * The path without links, the last part followed too, links staying inside the root as under chroot. What is not there is kept as it
   * is. "invalid" for a loop.
   */
  resolve(path: string): string {
    const rest = path.split("/").reverse();
    let current = "";
    let links = 0;
    for (let part = rest.pop(); part !== undefined; part = rest.pop()) {
      if (part === "" || part === ".") continue;
      if (part === "..") {
        current = current.slice(0, Math.max(0, current.lastIndexOf("/")));
        continue;
      }
      const next = current === "" ? part : `${current}/${part}`;
      const found = this.find(next);
      if (found?.stats.isSymbolicLink() !== true) {
        current = next;
        continue;
      }
      if (++links > MAX_LINKS)
        throw new EngineError("invalid", `too many symbolic links at ${JSON.stringify(`/${path}`)}`);
      const target = readlinkSync(found.full);
      if (target.startsWith("/")) current = "";
      rest.push(...target.split("/").reverse());
    }
    return current;
  }
}
