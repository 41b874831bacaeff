/** What the words of `gantry build` name: a folder, standard input, an address; and the Dockerfile that goes with it. */
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, isAbsolute, join, relative } from "node:path";
import type { Readable } from "node:stream";
import type { WireBuild, WireContext } from "../../api/types/build.ts";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { parseGitUrl } from "../../base/git-url.ts";
import { parseIgnoreFile } from "../../builder/dockerfile/ignore.ts";

/** A context, and where the client takes it from. */
export type Source =
  | {
      readonly wire: Extract<WireContext, { kind: "folder" }>;
      readonly folder: string;
      readonly ignore: readonly string[];
    }
  | { readonly wire: Extract<WireContext, { kind: "tar" }>; readonly archive: AsyncIterable<Uint8Array> }
  | { readonly wire: Extract<WireContext, { kind: "remote" }> };

export interface MainSource {
  readonly dockerfile: WireBuild["dockerfile"];
  /** Undefined: no files. */
  readonly source: Source | undefined;
}

/** Bytes of a Dockerfile. */
export const MAX_DOCKERFILE = 4 << 20;

/** `file` is what `-f` says, "" for nothing. `stdin` is asked for when it is read: making it takes 3 ms. Throws in docker's words. */
export async function mainSource(place: string, file: string, stdin: () => Readable): Promise<MainSource> {
  // Loaded when it is needed: reading archives costs a folder's build some milliseconds.
  if (place === "-") return await (await import("./standard-input.ts")).fromStandardInput(file, stdin());
  if (isRemote(place)) {
    if (file === "-") return { dockerfile: { name: "-", text: await readAll(stdin()) }, source: remote(place) };
    return { dockerfile: { name: file || undefined }, source: remote(place) };
  }
  checkFolder(place);
  const { path, text, name } = file === "-" ? await typed(place, stdin()) : found(place, file);
  if (text.trim() === "") throw new EngineError("invalid", `the Dockerfile (${name}) cannot be empty`);
  const source = folderSource(place, path, "[internal] load build context");
  const ignored = "ignore" in source && source.ignore.length > 0 ? source.ignore : undefined;
  return { dockerfile: { text, name, ignored }, source };
}

/** A folder as a context; `dockerfile` is the path whose own ignore file goes before the folder's. */
export function folderSource(place: string, dockerfile: string | undefined, description: string): Source {
  const folder = realpathSync(place);
  const own = dockerfile === undefined ? undefined : `${dockerfile}.dockerignore`;
  const path = own !== undefined && existsSync(own) ? own : join(folder, ".dockerignore");
  const ignore = existsSync(path) ? parseIgnoreFile(readFileSync(path, "utf8")) : [];
  return { wire: { kind: "folder", key: keyOf(folder), description }, folder, ignore };
}

export const isRemote = (place: string): boolean => parseGitUrl(place) !== undefined || /^https?:\/\//i.test(place);

export const remote = (url: string): Source => ({ wire: { kind: "remote", url } });

function checkFolder(place: string): void {
  const stat = statSync(place, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new EngineError("invalid", `unable to prepare context: path ${JSON.stringify(place)} not found`);
  if (!stat.isDirectory())
    throw new EngineError("invalid", `unable to prepare context: path ${JSON.stringify(place)} is no folder`, {
      hint: "Name the folder to build, and the Dockerfile with -f.",
    });
}

interface FoundDockerfile {
  readonly path: string;
  readonly text: string;
  readonly name: string;
}

function found(place: string, file: string): FoundDockerfile {
  const path = file === "" ? defaultFile(place) : file;
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new EngineError("invalid", `failed to read dockerfile: ${path} is no file`);
    if (stat.size > MAX_DOCKERFILE)
      throw new EngineError("too-large", `${path} has ${stat.size} bytes, at most ${MAX_DOCKERFILE} are read`);
    return { path, text: readFileSync(path, "utf8"), name: nameOf(place, path) };
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause;
    const why = errnoOf(cause) === "EACCES" ? "permission denied" : "no such file or directory";
    throw new EngineError("invalid", `failed to read dockerfile: open ${path}: ${why}`, {
      hint: file === "" ? "Name it with -f when it is called otherwise." : undefined,
      cause,
    });
  }
}

function defaultFile(place: string): string {
  const path = join(place, "Dockerfile");
  const lower = join(place, "dockerfile");
  return !existsSync(path) && existsSync(lower) ? lower : path;
}

/** As errors name it: relative to the context when it lies in it. */
function nameOf(place: string, path: string): string {
  const name = relative(place, path);
  return name.startsWith("..") || isAbsolute(name) ? basename(path) : name;
}

async function typed(place: string, stdin: Readable): Promise<FoundDockerfile> {
  return { path: join(place, "Dockerfile"), text: await readAll(stdin), name: "-" };
}

const readAll = async (stdin: Readable): Promise<string> =>
  (await import("./standard-input.ts")).collectText(stdin as AsyncIterable<Buffer>);

/** The same for the same folder of the same machine and user. */
function keyOf(folder: string): string {
  const machine = existsSync("/etc/machine-id") ? readFileSync("/etc/machine-id", "utf8").trim() : hostname();
  return `${machine}:${process.getuid?.()}:${folder}`;
}
