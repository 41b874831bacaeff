/** A mount whose server never answers, as that of a machine that is away: a file system in user space without its user. */
import { closeSync, mkdtempSync, openSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mount, unmount } from "../kernel/mounts.ts";

export interface SilentFileSystem extends Disposable {
  /** Who looks into this folder waits until the disposal. */
  readonly folder: string;
}

export function mountSilence(): SilentFileSystem {
  const folder = mkdtempSync(join(tmpdir(), "gantry-silence-"));
  const fd = openSync("/dev/fuse", "r+");
  const data = `fd=${fd},rootmode=40000,user_id=0,group_id=0`;
  try {
    mount({ source: "silence", target: folder, type: "fuse", flags: ["nosuid", "nodev"], data });
  } catch (error) {
    closeSync(fd);
    rmdirSync(folder);
    throw error;
  }
  return {
    folder,
    [Symbol.dispose]() {
      unmount(folder, { detach: true });
      closeSync(fd);
      rmdirSync(folder);
    },
  };
}
