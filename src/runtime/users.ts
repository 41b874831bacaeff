import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import { EngineError, errnoOf } from "../base/errors.ts";
import { openIn } from "../kernel/rooted.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Without `gid`'s own membership unless a file lists it. */
  readonly additionalGids: readonly number[];
  /** From passwd; "/" when the user is not in it. */
  readonly home: string;
}

export interface UserFiles {
  /** The text of the container's /etc/passwd and /etc/group; empty where it has none. */
  readonly passwd: string;
  readonly group: string;
}

const MAX_ID = 2 ** 31 - 1;
const MAX_FILE = 16 << 20;

/** Reads both files inside the root; a link cannot lead out of it, a device or a fifo is not read. `folder`: what is /etc there. */
export function readUserFiles(rootfs: string, folder = "etc"): UserFiles {
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return { passwd: readInside(root, `${folder}/passwd`), group: readInside(root, `${folder}/group`) };
  } finally {
    closeSync(root);
  }
}

/** One of the files that is mounted by itself, from the host; links mean what they mean there. */
export function readUserFile(path: string): string {
  const real = realpathSync(path);
  const folder = openSync(dirname(real), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return readInside(folder, basename(real));
  } finally {
    closeSync(folder);
  }
}

function readInside(root: number, path: string): string {
  let fd: number;
  try {
    fd = openIn(root, path, { flags: constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY });
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")) return "";
    throw error;
  }
  try {
    return fstatSync(fd).isFile() ? readStart(fd) : "";
  } finally {
    closeSync(fd);
  }
}

/** No more than MAX_FILE bytes, however large the file is. */
function readStart(fd: number): string {
  const { size } = fstatSync(fd);
  const bytes = Buffer.alloc(Math.min(size, MAX_FILE));
  let filled = 0;
  for (let count = 1; count > 0 && filled < bytes.length; filled += count)
    count = readSync(fd, bytes, filled, bytes.length - filled, filled);
  return bytes.toString("utf8", 0, filled);
}

/**
 * `user` is "", "name", "uid", "name:group", "uid:gid" … A name must be in its file, a number need not. The additional groups
 * are those that list the user (unless a group was given, as in Docker) and `groupAdd`. Throws "invalid" with Docker's texts.
 */
export function resolveUser(user: string, files: UserFiles, groupAdd: readonly string[] = []): ResolvedUser {
  const [userPart = "", groupPart] = user.split(":", 2) as [string, string?];
  const passwd = parseFile(files.passwd);
  const groups = parseFile(files.group);
  const entry = findUser(userPart, passwd);
  const uid = entry === undefined ? numericId(userPart, "user") : idOf(entry[2]);
  const name = entry?.[0] ?? "";
  const gid = groupPart ? groupId(groupPart, groups, "group") : entry === undefined ? 0 : idOf(entry[3]);
  const listed =
    groupPart || name === ""
      ? []
      : groups.filter((group) => members(group).includes(name)).map((group) => idOf(group[2]));
  const added = groupAdd.map((group) => groupId(group, groups, "group"));
  return Object.freeze({ uid, gid, additionalGids: [...new Set([...listed, ...added])], home: entry?.[5] || "/" });
}

function parseFile(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}

/** A name wins over a number; a number finds its entry too, for the group and the home. No user: root. */
function findUser(user: string, passwd: readonly string[][]): string[] | undefined {
  if (user === "") return passwd.find((entry) => entry[2] === "0") ?? ["root", "", "0", "0", "", "/root"];
  return (
    passwd.find((entry) => entry[0] === user) ??
    passwd.find((entry) => isNumber(user) && Number(entry[2]) === Number(user))
  );
}

function groupId(group: string, groups: readonly string[][], kind: "group"): number {
  const entry = groups.find((candidate) => candidate[0] === group);
  return entry === undefined ? numericId(group, kind) : idOf(entry[2]);
}

function numericId(text: string, kind: "user" | "group"): number {
  if (!isNumber(text)) {
    const file = kind === "user" ? "passwd" : "group";
    throw new EngineError("invalid", `unable to find ${kind} ${text}: no matching entries in ${file} file`);
  }
  const id = Number(text);
  if (id < 0 || id > MAX_ID) throw new EngineError("invalid", "uids and gids must be in range 0-2147483647");
  return id;
}

function idOf(text: string | undefined): number {
  const id = Number(text);
  return Number.isSafeInteger(id) && id >= 0 ? id : 0;
}

function isNumber(text: string): boolean {
  return /^-?[0-9]+$/.test(text);
}

function members(group: readonly string[]): string[] {
  return (group[3] ?? "").split(",");
}
