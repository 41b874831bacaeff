import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { CgroupTree } from "../kernel/cgroups.ts";
import { run } from "../kernel/spawn.ts";
import type { RuntimeInfo } from "./runtime.ts";

/** A runtime that answered, with how to call it. */
export interface DetectedRuntime extends RuntimeInfo {
  readonly kind: "crun" | "runc" | "other";
  /** Before the command's own arguments. */
  readonly arguments: readonly string[];
  /** It must not see the v2 tree of a hybrid machine. */
  readonly hideUnified: boolean;
  /** It takes a compiled seccomp filter in an annotation, which saves it compiling one at each start. */
  readonly takesBpf: boolean;
}

export interface DetectRequest {
  /** Name → path of further runtimes; a bare file name is looked for as well. */
  readonly configured: Readonly<
    Record<string, { readonly path: string; readonly runtimeArgs?: readonly string[] | undefined }>
  >;
  /** The default runtime's name; undefined: the first found. */
  readonly preferred: string | undefined;
  readonly cgroups: CgroupTree;
  readonly logger: Logger;
  /** Folders to look in, as in PATH. */
  readonly searchPath?: string | undefined;
}

/** In the order of preference: crun starts a container in a third of runc's time. */
const KNOWN = ["crun", "runc"] as const;

const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The runtimes that work here, the default first. Throws "unavailable" with a hint when there is none. */
export async function detectRuntimes(request: DetectRequest): Promise<DetectedRuntime[]> {
  const candidates = new Map<string, { path: string; runtimeArgs?: readonly string[] | undefined }>();
  for (const name of KNOWN) candidates.set(name, { path: name });
  for (const [name, entry] of Object.entries(request.configured)) candidates.set(name, entry);
  const found = await Promise.all([...candidates].map(([name, entry]) => examine(name, entry, request)));
  const runtimes = found.filter((runtime) => runtime !== undefined);
  if (runtimes.length === 0) {
    throw new EngineError("unavailable", "no OCI runtime was found", {
      hint: "Install one: apt-get install crun (or runc)",
    });
  }
  return preferredFirst(runtimes, request.preferred);
}

async function examine(
  name: string,
  { path, runtimeArgs = [] }: { path: string; runtimeArgs?: readonly string[] | undefined },
  { cgroups, logger, searchPath = SEARCH_PATH, configured }: DetectRequest,
): Promise<DetectedRuntime | undefined> {
  const file = findExecutable(path, searchPath);
  const asked = Object.hasOwn(configured, name);
  if (file === undefined) {
    if (asked) logger.log("warn", "configured runtime was not found", { runtime: name, path });
    return undefined;
  }
  try {
    const { code, stdout } = await run(file, ["--version"], { timeoutMs: 10_000 });
    if (code !== 0) throw new Error(`--version ended with code ${code}`);
    return Object.freeze({ name, path: file, arguments: [...runtimeArgs], ...identify(stdout.toString(), cgroups) });
  } catch (error) {
    logger.log("warn", "runtime does not work", { runtime: name, path: file, error: errorMessage(error) });
    return undefined;
  }
}

function identify(
  text: string,
  cgroups: CgroupTree,
): Pick<DetectedRuntime, "kind" | "version" | "hideUnified" | "takesBpf"> {
  const match = /^(crun|runc) version (\S+)/m.exec(text);
  const kind = match === null ? "other" : (match[1] as "crun" | "runc");
  const version = match?.[2] ?? text.split("\n", 1)[0]?.trim() ?? "";
  return {
    kind,
    version,
    hideUnified: kind === "crun" && cgroups.hybrid,
    takesBpf: kind === "crun" && text.includes("+SECCOMP") && atLeast(version, 0, 20),
  };
}

function atLeast(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split(".").map(Number);
  return a > major || (a === major && b >= minor);
}

function findExecutable(path: string, searchPath: string): string | undefined {
  const candidates = path.includes("/") ? [path] : searchPath.split(":").map((folder) => join(folder, path));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function preferredFirst(runtimes: readonly DetectedRuntime[], preferred: string | undefined): DetectedRuntime[] {
  if (preferred === undefined) return [...runtimes];
  const first = selectRuntime(runtimes, preferred);
  return [first, ...runtimes.filter((runtime) => runtime !== first)];
}

/** Docker's name for its built-in runtime. */
const BUILT_IN = "io.containerd.runc.v2";

/** By name; undefined or empty: the default. Throws "invalid" with Docker's text. */
export function selectRuntime(runtimes: readonly DetectedRuntime[], name: string | null | undefined): DetectedRuntime {
  const wanted = name === BUILT_IN ? undefined : name || undefined;
  const found = wanted === undefined ? runtimes[0] : runtimes.find((runtime) => runtime.name === wanted);
  if (found === undefined) throw new EngineError("invalid", `unknown or invalid runtime name: ${name}`);
  return found;
}
