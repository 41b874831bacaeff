/** The files of one log on the disk: `<path>` and, older and older, `<path>.1` or `<path>.1.gz`, … */
import { closeSync, fstatSync, openSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "../base/errors.ts";

export interface LogFile {
  readonly fd: number;
  readonly inode: number;
  /** When it was opened. */
  readonly size: number;
  readonly compressed: boolean;
}

/** Opens a file; undefined when there is none. The caller closes it. */
export function openLogFile(path: string, compressed = false): LogFile | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
  const { ino, size } = fstatSync(fd);
  return { fd, inode: ino, size, compressed };
}

/**
 * Opens all files, oldest first. A rotation meanwhile loses none: they are opened from the newest on, and one that is met
 * again under its next name counts once. The caller closes them.
 */
export function openLogFiles(path: string): LogFile[] {
  const files: LogFile[] = [];
  const take = (file: LogFile | undefined) => {
    if (file === undefined) return;
    if (files.some(({ inode }) => inode === file.inode)) closeSync(file.fd);
    else files.unshift(file);
  };
  try {
    take(openLogFile(path));
    for (let index = 1, missing = 0; missing < 2; index++) {
      const file = openLogFile(`${path}.${index}`) ?? openLogFile(`${path}.${index}.gz`, true);
      missing = file === undefined ? missing + 1 : 0;
      take(file);
    }
    return files;
  } catch (error) {
    closeLogFiles(files);
    throw error;
  }
}

export function closeLogFiles(files: readonly LogFile[]): void {
  for (const { fd } of files) closeSync(fd);
}

/**
 * The file to go on with after `file`, or after none: the next newer one. A file that was compressed meanwhile is known
 * again by its time, which the monitor keeps; where it is gone, the current file is next.
 */
export function openSuccessor(path: string, file: LogFile | undefined): LogFile | undefined {
  const files = openLogFiles(path);
  const at = file === undefined ? -1 : files.findIndex((other) => isSame(file, other));
  const next = file !== undefined && at < 0 ? files.length - 1 : at + 1;
  closeLogFiles(files.filter((_, index) => index !== next));
  return files[next];
}

function isSame(file: LogFile, other: LogFile): boolean {
  if (other.compressed === file.compressed) return other.inode === file.inode;
  return other.compressed && modified(other) === modified(file);
}

function modified({ fd }: LogFile): bigint {
  return fstatSync(fd, { bigint: true }).mtimeNs;
}

export function removeLogFiles(path: string): void {
  const base = basename(path);
  for (const name of namesIn(dirname(path)))
    if (
      name === base ||
      (name.startsWith(`${base}.`) && /^\.(?:\d+|\d+\.gz|gz\.tmp|sent|sent\.tmp)$/.test(name.slice(base.length)))
    )
      rmSync(join(dirname(path), name), { force: true });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
