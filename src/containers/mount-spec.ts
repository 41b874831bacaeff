/** `--mount`: the checks that need no look at volumes. */
import { existsSync } from "node:fs";
import { posix } from "node:path";
import type { Mount } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";

export type MountSpec =
  | {
      readonly kind: "bind";
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly propagation: string | undefined;
      readonly createSource: boolean;
      readonly nonRecursive: boolean;
      /** Mounts below a read-only one stay writable. */
      readonly writableBelow: boolean;
      readonly idMap: string | undefined;
    }
  | {
      readonly kind: "volume";
      /** "" for an anonymous one. */
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly noCopy: boolean;
      readonly subpath: string | undefined;
      readonly driver: string | undefined;
      readonly options: Readonly<Record<string, string>> | undefined;
      readonly labels: Readonly<Record<string, string>> | undefined;
    }
  | { readonly kind: "image"; readonly source: string; readonly target: string; readonly subpath: string | undefined }
  | { readonly kind: "tmpfs"; readonly target: string };

const PROPAGATIONS = new Set(["private", "rprivate", "shared", "rshared", "slave", "rslave"]);

/** Throws "invalid" with Docker's texts. */
export function checkMount(mount: Mount): MountSpec {
  const { Type: type = "volume", Target = "" } = mount;
  const wrong = (message: string) => new EngineError("invalid", `invalid mount config for type "${type}": ${message}`);
  if (Target === "") throw wrong("field Target must not be empty");
  if (!Target.startsWith("/")) throw wrong(`invalid mount path: '${Target}' mount path must be absolute`);
  const target = posix.normalize(Target).replace(/(.)\/$/, "$1");
  if (target === "/") throw wrong("invalid specification: destination can't be '/'");
  const check = Object.hasOwn(CHECKS, type) ? CHECKS[type] : undefined;
  if (check === undefined) throw wrong("mount type unknown");
  return check(mount, target, wrong);
}

type Check = (mount: Mount, target: string, wrong: (message: string) => EngineError) => MountSpec;

const CHECKS: Readonly<Record<string, Check>> = {
  bind: ({ Source = "", ReadOnly = false, BindOptions, VolumeOptions, TmpfsOptions }, target, wrong) => {
    if (VolumeOptions) throw wrong("field VolumeOptions must not be specified");
    if (TmpfsOptions) throw wrong("field TmpfsOptions must not be specified");
    if (Source === "") throw wrong("field Source must not be empty");
    if (!Source.startsWith("/")) throw wrong(`invalid mount path: '${Source}' mount path must be absolute`);
    const propagation = BindOptions?.Propagation;
    if (propagation && !PROPAGATIONS.has(propagation)) throw wrong(`invalid propagation mode: ${propagation}`);
    const { ReadOnlyNonRecursive = false, ReadOnlyForceRecursive = false } = BindOptions ?? {};
    if (ReadOnlyNonRecursive && !ReadOnly) throw wrong("mode must be ReadOnly when ReadOnlyNonRecursive is specified");
    if (ReadOnlyForceRecursive && !ReadOnly)
      throw wrong("mode must be ReadOnly when ReadOnlyForceRecursive is specified");
    if (ReadOnlyForceRecursive && ReadOnlyNonRecursive)
      throw wrong("ReadOnlyForceRecursive and ReadOnlyNonRecursive are mutually exclusive");
    if (ReadOnlyForceRecursive && BindOptions?.NonRecursive)
      throw wrong("ReadOnlyForceRecursive cannot be used with NonRecursive");
    const createSource = BindOptions?.CreateMountpoint === true;
    if (!createSource && !existsSync(Source)) throw wrong(`bind source path does not exist: ${Source}`);
    return {
      kind: "bind",
      source: Source,
      target,
      readOnly: ReadOnly,
      propagation,
      createSource,
      nonRecursive: BindOptions?.NonRecursive === true,
      writableBelow: ReadOnlyNonRecursive,
      idMap: BindOptions?.IdMap,
    };
  },
  volume: ({ Source = "", ReadOnly = false, BindOptions, VolumeOptions, TmpfsOptions }, target, wrong) => {
    if (BindOptions) throw wrong("field BindOptions must not be specified");
    if (TmpfsOptions) throw wrong("field TmpfsOptions must not be specified");
    if (Source === "" && ReadOnly) throw wrong("must not set ReadOnly mode when using anonymous volumes");
    const subpath = relativePath(VolumeOptions?.Subpath, "volume", wrong);
    return {
      kind: "volume",
      source: Source,
      target,
      readOnly: ReadOnly,
      noCopy: VolumeOptions?.NoCopy === true,
      subpath,
      driver: VolumeOptions?.DriverConfig?.Name || undefined,
      options: VolumeOptions?.DriverConfig?.Options,
      labels: VolumeOptions?.Labels,
    };
  },
  image: ({ Source = "", BindOptions, VolumeOptions, TmpfsOptions, ImageOptions }, target, wrong) => {
    if (BindOptions) throw wrong("field BindOptions must not be specified");
    if (VolumeOptions) throw wrong("field VolumeOptions must not be specified");
    if (TmpfsOptions) throw wrong("field TmpfsOptions must not be specified");
    if (Source === "") throw wrong("field Source must not be empty");
    return { kind: "image", source: Source, target, subpath: relativePath(ImageOptions?.Subpath, "image", wrong) };
  },
  tmpfs: ({ Source = "", BindOptions, VolumeOptions, TmpfsOptions }, target, wrong) => {
    if (BindOptions) throw wrong("field BindOptions must not be specified");
    if (VolumeOptions) throw wrong("field VolumeOptions must not be specified");
    if (Source !== "") throw wrong("field Source must not be specified");
    const { SizeBytes = 0, Mode = 0 } = TmpfsOptions ?? {};
    if (SizeBytes < 0) throw wrong("size must not be negative");
    if (Mode < 0) throw wrong("mode must not be negative");
    return { kind: "tmpfs", target };
  },
};

function relativePath(
  path: string | undefined,
  inside: "volume" | "image",
  wrong: (message: string) => EngineError,
): string | undefined {
  if (path && (path.startsWith("/") || posix.normalize(path).startsWith("..")))
    throw wrong(`subpath must be a relative path within the ${inside}`);
  return path || undefined;
}
