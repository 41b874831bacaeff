/** Copies of files, inside the kernel where it can. */
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";
import { native } from "./native.ts";

/** Shares the blocks (FICLONE); false where the file system can't. */
export function cloneFile(sourceFd: number, targetFd: number): boolean {
  return native.cloneFile(sourceFd, targetFd);
}

/** copy_file_range(2) from and to the current offsets: bytes copied, 0 at the end. */
export function copyRange(sourceFd: number, targetFd: number, length: number): number {
  return native.copyRange(sourceFd, targetFd, length);
}

/** What copy_file_range says of two file systems it cannot copy between. */
const APART = new Set(["EXDEV", "EOPNOTSUPP", "ENOSYS", "EINVAL", "ETXTBSY"]);
const STEP = 64 << 20;

/** Makes `to`, which must not exist, with the bytes of the regular file `from`; neither may be a link. Mode 0600. */
export function copyFile(from: string, to: string): void {
  const source = openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const target = openSync(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      if (!cloneFile(source, target) && !copyInKernel(source, target)) copyThrough(source, target);
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}

/** False, with nothing copied, where the kernel will not. */
function copyInKernel(source: number, target: number): boolean {
  try {
    while (copyRange(source, target, STEP) > 0);
    return true;
  } catch (error) {
    if (APART.has(errnoOf(error) ?? "")) return false;
    throw error;
  }
}

/** From the current offsets on. */
function copyThrough(source: number, target: number): void {
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (;;) {
    const read = readSync(source, buffer);
    if (read === 0) return;
    for (let at = 0; at < read; ) at += writeSync(target, buffer, at, read - at);
  }
}
