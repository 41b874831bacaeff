/** From what a request says about mounts to the list that the container keeps: Docker's order, precedence and error texts. */
import { posix } from "node:path";
import type { ContainerConfig, HostConfig } from "../api/types/container.ts";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { type BindSpec, parseBind } from "./bind-spec.ts";
import { parseIdMap } from "./id-map.ts";
import { checkMount, type MountSpec } from "./mount-spec.ts";
import type { MountRecord } from "./record.ts";

/** A mount that is wished for; volumes are not made yet. */
export interface PlannedMount extends MountRecord {
  /** Of the volume to make when it does not exist. */
  readonly volume?:
    | {
        readonly driver: string | undefined;
        readonly options: Readonly<Record<string, string>> | undefined;
        readonly labels: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
}

export interface MountSources {
  /** The mounts of another container, for `--volumes-from`; throws "not-found". */
  readonly mountsOf: (container: string) => readonly MountRecord[];
}

/** Later ones replace earlier ones of `--volumes-from`; the same target twice otherwise is "invalid". */
export function planMounts(config: ContainerConfig, hostConfig: HostConfig, sources: MountSources): PlannedMount[] {
  const planned = new Map<string, PlannedMount>();
  for (const entry of hostConfig.VolumesFrom ?? [])
    for (const mount of inherited(entry, sources)) planned.set(mount.destination, mount);
  const own = new Set<string>();
  const add = (mount: PlannedMount) => {
    if (own.has(mount.destination)) throw duplicate(mount.destination);
    own.add(mount.destination);
    planned.set(mount.destination, mount);
  };
  for (const bind of hostConfig.Binds ?? []) add(ofBind(parseBind(bind), hostConfig.VolumeDriver));
  for (const mount of hostConfig.Mounts ?? []) {
    const spec = checkMount(mount);
    if (spec.kind === "tmpfs") {
      if (own.has(spec.target)) throw duplicate(spec.target);
      own.add(spec.target);
      planned.delete(spec.target);
    } else add(ofMount(spec));
  }
  const tmpfs = new Set(Object.keys(hostConfig.Tmpfs ?? {}).map(cleanTarget));
  for (const target of tmpfs) {
    if (own.has(target)) throw duplicate(target);
    planned.delete(target);
  }
  for (const path of Object.keys(config.Volumes ?? {})) {
    const destination = volumeTarget(path);
    if (!planned.has(destination) && !own.has(destination) && !tmpfs.has(destination))
      planned.set(destination, anonymous(destination, hostConfig.VolumeDriver));
  }
  return [...planned.values()];
}

export function cleanTarget(path: string): string {
  const clean = posix.normalize(path);
  return clean.length > 1 ? clean.replace(/\/$/, "") : clean;
}

function duplicate(destination: string): EngineError {
  return new EngineError("invalid", `Duplicate mount point: ${destination}`);
}

/** "name" or "name:ro". */
function inherited(entry: string, { mountsOf }: MountSources): MountRecord[] {
  const [container = "", mode = "rw"] = entry.split(":", 2) as [string, string?];
  if (container === "") throw new EngineError("invalid", "malformed volumes-from specification: ");
  if (!/^(?:rw|ro)?(?:,?[zZ])?$/.test(mode)) throw new EngineError("invalid", `invalid mode: ${mode}`);
  return theirs(container, mountsOf).map(({ anonymous: _, ...mount }) => ({
    ...mount,
    writable: mount.writable && !mode.split(",").includes("ro"),
  }));
}

/** Not "not-found", which clients take for the image's. */
function theirs(container: string, mountsOf: MountSources["mountsOf"]): readonly MountRecord[] {
  try {
    return mountsOf(container);
  } catch (error) {
    if (errorKind(error) !== "not-found") throw error;
    throw new EngineError("invalid", errorMessage(error), { cause: error });
  }
}

function ofBind(spec: BindSpec, driver: string | undefined): PlannedMount {
  const { destination, mode, writable, propagation, idMap } = spec;
  if (spec.source?.startsWith("/"))
    return {
      ...mapped(idMap, propagation),
      type: "bind",
      source: cleanTarget(spec.source),
      destination,
      mode,
      writable,
      propagation: propagation ?? "rprivate",
      createSource: true,
    };
  if (spec.source === undefined) return { ...anonymous(destination, driver), mode, writable, noCopy: spec.noCopy };
  return {
    type: "volume",
    name: spec.source,
    source: "",
    destination,
    mode: mode || "z",
    writable,
    propagation: "",
    noCopy: spec.noCopy,
    volume: { driver: driver || undefined, options: undefined, labels: undefined },
  };
}

function ofMount(spec: Exclude<MountSpec, { kind: "tmpfs" }>): PlannedMount {
  if (spec.kind === "image")
    return {
      type: "image",
      name: spec.source,
      source: "",
      destination: spec.target,
      mode: "",
      writable: false,
      propagation: "",
      subpath: spec.subpath,
    };
  const common = { destination: spec.target, writable: !spec.readOnly };
  if (spec.kind === "bind")
    return {
      ...common,
      ...mapped(spec.idMap, spec.propagation),
      type: "bind",
      source: cleanTarget(spec.source),
      mode: "",
      propagation: spec.propagation || "rprivate",
      createSource: spec.createSource,
      nonRecursive: spec.nonRecursive,
      writableBelow: spec.writableBelow,
    };
  const volume = { driver: spec.driver, options: spec.options, labels: spec.labels };
  const name = spec.source || newId();
  return {
    ...common,
    type: "volume",
    name,
    source: "",
    mode: "z",
    propagation: "",
    noCopy: spec.noCopy,
    subpath: spec.subpath,
    ...(spec.source === "" ? { anonymous: true } : {}),
    volume,
  };
}

/** Throws "invalid" for a map that cannot be. */
function mapped(idMap: string | undefined, propagation: string | undefined): Pick<MountRecord, "idMap"> {
  if (idMap === undefined) return {};
  parseIdMap(idMap);
  if (propagation && !propagation.endsWith("private"))
    throw new EngineError("invalid", `idmap cannot be combined with the propagation ${propagation}`);
  return { idMap };
}

function anonymous(destination: string, driver: string | undefined): PlannedMount {
  return {
    type: "volume",
    name: newId(),
    source: "",
    destination,
    mode: "",
    writable: true,
    propagation: "",
    anonymous: true,
    volume: { driver: driver || undefined, options: undefined, labels: undefined },
  };
}

/** A key of `Volumes`: an absolute path in the container. */
function volumeTarget(path: string): string {
  const wrong = (message: string) =>
    new EngineError(
      "invalid",
      `invalid volume specification: '${path}': invalid mount config for type "volume": ${message}`,
    );
  if (!path.startsWith("/")) throw wrong(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = cleanTarget(path);
  if (clean === "/") throw wrong("invalid specification: destination can't be '/'");
  return clean;
}
