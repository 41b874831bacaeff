/** The Dockerfile and the ignore file of a context. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { posix } from "node:path";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { openIn } from "../../kernel/rooted.ts";
import { parseIgnoreFile } from "../dockerfile/ignore.ts";
import type { DockerfileText } from "./contexts.ts";

/** Bytes that are read at all; the parser takes less, and says so. */
export const MAX_DOCKERFILE = 4 << 20;

export const DEFAULT_DOCKERFILE = "Dockerfile";

const { O_RDONLY, O_NONBLOCK } = constants;

/**
 * The Dockerfile `name` of the context in `root`, and the lines of `<name>.dockerignore`, else of `.dockerignore`. Links stay inside the
 * context. When nobody asked for another name "dockerfile" counts as "Dockerfile". Errors: "invalid" with the classic builder's words.
 */
export function readDockerfile(root: string, name: string = DEFAULT_DOCKERFILE): DockerfileText {
  const path = posix.normalize(`/${name.replaceAll("\\", "/")}`).slice(1);
  const found = readText(root, path) ?? (path === DEFAULT_DOCKERFILE ? readText(root, "dockerfile") : undefined);
  if (found === undefined)
    throw new EngineError("invalid", `Cannot locate specified Dockerfile: ${name}`, {
      hint: "Name it with -f, relative to the folder that is built; a .dockerignore file may have left it out.",
    });
  if (found.trim() === "") throw new EngineError("invalid", `the Dockerfile (${name}) cannot be empty`);
  return { text: found, name, ignore: readIgnore(root, path) };
}

/** The patterns that hold for a Dockerfile at `path`; none without an ignore file. */
export function readIgnore(root: string, path: string): readonly string[] {
  const text = readText(root, `${path}.dockerignore`) ?? readText(root, ".dockerignore");
  return text === undefined ? [] : parseIgnoreFile(text);
}

/** Undefined when there is none. "invalid" for what is no file, "too-large". */
function readText(root: string, path: string): string | undefined {
  const rootFd = openSync(root, constants.O_DIRECTORY | O_RDONLY);
  let fd: number;
  try {
    fd = openIn(rootFd, path, { flags: O_RDONLY | O_NONBLOCK });
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  } finally {
    closeSync(rootFd);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new EngineError("invalid", `${path} is a folder or something else that is no file`);
    if (stat.size > MAX_DOCKERFILE)
      throw new EngineError("too-large", `${path} has ${stat.size} bytes, at most ${MAX_DOCKERFILE} are read`);
    const bytes = Buffer.alloc(stat.size);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(fd, bytes, length, bytes.length - length, length);
    return bytes.subarray(0, length).toString("utf8");
  } finally {
    closeSync(fd);
  }
}
