/** Copies inside the kernel, without a byte through this process. */
import { native } from "./native.ts";

/** Shares the blocks (FICLONE); false where the file system can't. */
export function cloneFile(sourceFd: number, targetFd: number): boolean {
  return native.cloneFile(sourceFd, targetFd);
}

/** copy_file_range(2) from and to the current offsets: bytes copied, 0 at the end. */
export function copyRange(sourceFd: number, targetFd: number, length: number): number {
  return native.copyRange(sourceFd, targetFd, length);
}
