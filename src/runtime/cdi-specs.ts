/**
 * Devices by name: specifications of the Container Device Interface (CDI 0.3–1.0), JSON or YAML files that say what a container needs to
 * have a device. A name is "vendor/class=device".
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";

export interface CdiDevice {
  /** "vendor/class=device". */
  readonly name: string;
  /** The file that says so. */
  readonly file: string;
  /** What every device of the file needs, then what this one does. */
  readonly edits: readonly CdiEdits[];
}

export interface CdiEdits {
  readonly env?: readonly string[];
  readonly deviceNodes?: readonly CdiNode[];
  readonly mounts?: readonly CdiMount[];
  readonly hooks?: readonly CdiHook[];
  readonly additionalGids?: readonly number[];
  readonly intelRdt?: unknown;
  readonly netDevices?: readonly unknown[];
}

export interface CdiNode {
  readonly path: string;
  readonly hostPath?: string;
  readonly type?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly permissions?: string;
  readonly uid?: number;
  readonly gid?: number;
}

export interface CdiMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly options?: readonly string[];
  readonly type?: string;
}

export interface CdiHook {
  readonly hookName: string;
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  readonly timeout?: number;
}

export interface CdiDevices {
  readonly devices: ReadonlyMap<string, CdiDevice>;
  /** What could not be used, in words. */
  readonly problems: readonly string[];
}

/** Where specifications are by default; the later folder goes before the earlier one. */
export const CDI_FOLDERS: readonly string[] = ["/etc/cdi", "/var/run/cdi"];

/** Bytes of one file. */
const LARGEST_FILE = 4 << 20;
const VENDOR = /^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]$|^[A-Za-z]$/;
const DEVICE = /^[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;

/**
 * Reads the folders as they are now. A name that two files of one folder claim is nobody's; a later folder's goes before. Files that are
 * wrong are told among the problems and left out; folders that are not there are empty.
 */
export function readCdi(folders: readonly string[] = CDI_FOLDERS): CdiDevices {
  const devices = new Map<string, CdiDevice>();
  const problems: string[] = [];
  for (const folder of folders) {
    const here = new Map<string, CdiDevice>();
    const claimed = new Set<string>();
    for (const file of filesIn(folder))
      try {
        for (const device of devicesOf(file)) {
          const other = here.get(device.name);
          if (other !== undefined) {
            problems.push(`conflicting device ${JSON.stringify(device.name)} in ${other.file} and ${file}`);
            claimed.add(device.name);
          }
          here.set(device.name, device);
        }
      } catch (error) {
        problems.push(`${file}: ${errorMessage(error)}`);
      }
    for (const [name, device] of here) devices.set(name, device);
    for (const name of claimed) devices.delete(name);
  }
  return { devices, problems };
}

function filesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => [".json", ".yaml", ".yml"].includes(extname(name)));
    return names.toSorted().map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

function devicesOf(file: string): CdiDevice[] {
  if (statSync(file).size > LARGEST_FILE) throw invalid(`longer than ${LARGEST_FILE >> 20} MiB`);
  const spec = record(parse(file, readFileSync(file, "utf8")), "the specification");
  const kind = text(spec.kind, "kind");
  const [vendor = "", className = "", ...more] = kind.split("/");
  if (!VENDOR.test(vendor) || !VENDOR.test(className) || more.length > 0)
    throw invalid(`invalid kind ${JSON.stringify(kind)}: vendor/class is needed`);
  if (!/^\d+\.\d+\.\d+$/.test(text(spec.cdiVersion, "cdiVersion")))
    throw invalid(`invalid cdiVersion ${JSON.stringify(spec.cdiVersion)}`);
  const common = editsOf(spec.containerEdits);
  return list(spec.devices, "devices").map((value) => {
    const device = record(value, "a device");
    const name = text(device.name, "a device's name");
    if (!DEVICE.test(name)) throw invalid(`invalid device name ${JSON.stringify(name)}`);
    return { name: `${kind}=${name}`, file, edits: [common, editsOf(device.containerEdits)] };
  });
}

function parse(file: string, content: string): unknown {
  if (extname(file) === ".json") return JSON.parse(content);
  // Loaded for the few machines that have such files.
  const yaml = createRequire(import.meta.url)("yaml") as typeof import("yaml");
  return yaml.parse(content, { maxAliasCount: 100 });
}

/** Checks what is used of them. */
function editsOf(value: unknown): CdiEdits {
  if (value === undefined || value === null) return {};
  const edits = record(value, "containerEdits");
  for (const entry of list(edits.env, "env"))
    if (!/^[^=]+=/.test(text(entry, "env"))) throw invalid(`invalid environment variable ${JSON.stringify(entry)}`);
  for (const node of list(edits.deviceNodes, "deviceNodes"))
    text(record(node, "a device node").path, "a device node's path");
  for (const value of list(edits.mounts, "mounts")) {
    const mount = record(value, "a mount");
    text(mount.hostPath, "a mount's hostPath");
    text(mount.containerPath, "a mount's containerPath");
  }
  for (const value of list(edits.hooks, "hooks")) {
    const hook = record(value, "a hook");
    if (!HOOKS.has(text(hook.hookName, "a hook's name")))
      throw invalid(`invalid hook name ${JSON.stringify(hook.hookName)}`);
    text(hook.path, "a hook's path");
  }
  for (const gid of list(edits.additionalGids, "additionalGids"))
    if (!Number.isInteger(gid) || (gid as number) < 0) throw invalid(`invalid group ${JSON.stringify(gid)}`);
  return edits as CdiEdits;
}

const HOOKS = new Set(["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]);

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(`${what} must be an object`);
}

function text(value: unknown, what: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw invalid(`${what} must be a text`);
}

function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw invalid(`${what} must be a list`);
}

const invalid = (message: string) => new EngineError("invalid", message);
