/** Copies of files, inside the kernel where it can. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, type PathLike, readSync, writeSync } from "node:fs";
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
    copyOpenFile(source, to);
  } finally {
    closeSync(source);
  }
}

/** The same from a regular file that is open at its start. */
export function copyOpenFile(source: number, to: PathLike): void {
  const target = openSync(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    if (cloneFile(source, target)) return;
    if (hasHoles(source) || !copyInKernel(source, target)) copyThrough(source, target);
  } finally {
    closeSync(target);
  }
}

/** copy_file_range fills holes with blocks on some file systems. */
function hasHoles(fd: number): boolean {
  const { size, blocks } = fstatSync(fd);
  return blocks * 512 < size;
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

const BLOCK = 1 << 16;
const ZEROS = Buffer.alloc(BLOCK);

/** From the current offsets on; blocks of zeros stay holes. */
function copyThrough(source: number, target: number): void {
  const buffer = Buffer.allocUnsafe(BLOCK);
  let position = 0;
  for (let read = readSync(source, buffer); read > 0; read = readSync(source, buffer)) {
    const bytes = buffer.subarray(0, read);
    if (!bytes.equals(ZEROS.subarray(0, read)))
      for (let at = 0; at < read; ) at += writeSync(target, bytes, at, read - at, position + at);
    position += read;
  }
  ftruncateSync(target, position);
}
