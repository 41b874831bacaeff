import { posix } from "node:path";
import type { Mount } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { SpecMount } from "./spec-types.ts";

/** A mount that is decided: the source exists, the target is absolute. */
export interface ContainerMount {
  readonly type: "bind" | "tmpfs";
  /** A path on the host for "bind". */
  readonly source: string;
  readonly target: string;
  readonly readOnly?: boolean | undefined;
  /** "rprivate" unless given. */
  readonly propagation?: string | undefined;
  /** Not the mounts below the source. */
  readonly nonRecursive?: boolean | undefined;
  /** Further options of mount(8). */
  readonly options?: readonly string[] | undefined;
}

const PROPAGATIONS = new Set(["private", "rprivate", "shared", "rshared", "slave", "rslave"]);

export function specMount({
  type,
  source,
  target,
  readOnly,
  propagation,
  nonRecursive,
  options = [],
}: ContainerMount): SpecMount {
  const mode = readOnly ? ["ro"] : [];
  if (type === "tmpfs") return { destination: target, type, source: "tmpfs", options: [...options, ...mode] };
  const spread = propagation && PROPAGATIONS.has(propagation) ? propagation : "rprivate";
  return {
    destination: target,
    type: "bind",
    source,
    options: [nonRecursive ? "bind" : "rbind", ...options, ...mode, spread],
  };
}

/** The root's own propagation must let through what a mount wants: "rshared", "rslave", or undefined (private). */
export function rootPropagation(mounts: readonly ContainerMount[]): string | undefined {
  const wanted = mounts.map((mount) => mount.propagation ?? "");
  if (wanted.some((mode) => mode.endsWith("shared"))) return "shared";
  return wanted.some((mode) => mode.endsWith("slave")) ? "rslave" : undefined;
}

/** HostConfig.Tmpfs and `--mount type=tmpfs`. Throws "invalid" for an option that a tmpfs does not take. */
export function tmpfsMounts(tmpfs: Readonly<Record<string, string>>, mounts: readonly Mount[]): ContainerMount[] {
  const short = Object.entries(tmpfs).map(([target, options]) => ({
    type: "tmpfs" as const,
    source: "tmpfs",
    target: posix.normalize(target),
    options: mergeOptions(["noexec", "nosuid", "nodev"], options === "" ? [] : options.split(",")),
  }));
  const long = mounts
    .filter((mount) => mount.Type === "tmpfs")
    .map(({ Target = "", ReadOnly, TmpfsOptions }) => ({
      type: "tmpfs" as const,
      source: "tmpfs",
      target: posix.normalize(Target),
      readOnly: ReadOnly,
      options: mergeOptions(["noexec", "nosuid", "nodev"], longOptions(TmpfsOptions)),
    }));
  return [...short, ...long];
}

function longOptions(options: Mount["TmpfsOptions"]): string[] {
  if (!options) return [];
  return [
    ...(options.Mode ? [`mode=${options.Mode.toString(8)}`] : []),
    ...(options.SizeBytes ? [`size=${options.SizeBytes}`] : []),
    ...(options.Options ?? []).map((pair) => pair.join("=")),
  ];
}

/** Flags that a later opposite takes away. */
const OPPOSITES: Readonly<Record<string, string>> = {
  ro: "rw",
  rw: "ro",
  exec: "noexec",
  noexec: "exec",
  suid: "nosuid",
  nosuid: "suid",
  dev: "nodev",
  nodev: "dev",
  async: "sync",
  sync: "async",
  atime: "noatime",
  noatime: "atime",
  diratime: "nodiratime",
  nodiratime: "diratime",
  relatime: "norelatime",
  norelatime: "relatime",
  strictatime: "nostrictatime",
  nostrictatime: "strictatime",
};
const PROPAGATION_FLAGS = /^r?(?:private|shared|slave|unbindable)$/;
const VALUED = new Set(["mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol"]);

function mergeOptions(defaults: readonly string[], given: readonly string[]): string[] {
  const merged: string[] = [];
  for (const option of [...defaults, ...given]) {
    const [name = ""] = option.split("=", 1);
    const known = option.includes("=")
      ? VALUED.has(name)
      : Object.hasOwn(OPPOSITES, name) || PROPAGATION_FLAGS.test(name);
    if (!known && option !== "defaults" && option !== "bind" && option !== "rbind") {
      throw new EngineError("invalid", `invalid tmpfs option "${option}"`);
    }
    drop(merged, (earlier) => earlier === OPPOSITES[name] || earlier === option || earlier.startsWith(`${name}=`));
    merged.push(option);
  }
  return merged.filter((option) => option !== "defaults");
}

function drop(list: string[], unwanted: (item: string) => boolean): void {
  for (let at = list.length - 1; at >= 0; at--) if (unwanted(list[at] ?? "")) list.splice(at, 1);
}

/**
 * All mounts in the order the runtime makes them: the defaults that no other mount replaces (a mount of /dev replaces what lies
 * in it too), then the others from the root downwards, a later one of the same target winning.
 */
export function arrangeMounts(defaults: readonly SpecMount[], others: readonly SpecMount[]): SpecMount[] {
  const byTarget = new Map<string, SpecMount>();
  for (const mount of others) byTarget.set(mount.destination, mount);
  const kept = defaults.filter(
    ({ destination }) => !byTarget.has(destination) && !(byTarget.has("/dev") && destination.startsWith("/dev/")),
  );
  const depth = (mount: SpecMount) => mount.destination.split("/").filter(Boolean).length;
  return [...kept, ...[...byTarget.values()].sort((a, b) => depth(a) - depth(b))];
}
