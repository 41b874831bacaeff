import { lstatSync, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import type { DeviceMapping } from "../api/types/container.ts";
import { EngineError, errnoOf } from "../base/errors.ts";
import { deviceNumbers } from "../kernel/nodes.ts";
import type { DeviceNode, DeviceRule } from "./spec-types.ts";

export interface Devices {
  readonly nodes: readonly DeviceNode[];
  readonly rules: readonly DeviceRule[];
}

/** What `--device` asks for: a node, or every node below a folder. Reads the host's /dev. Throws "invalid" with Docker's text. */
export function requestedDevices(mappings: readonly DeviceMapping[]): Devices {
  const nodes: DeviceNode[] = [];
  const rules: DeviceRule[] = [];
  for (const mapping of mappings) {
    const path = mapping.PathOnHost ?? "";
    const target = mapping.PathInContainer || path;
    for (const node of nodesAt(path, target)) {
      nodes.push(node);
      rules.push({
        allow: true,
        type: node.type,
        major: node.major,
        minor: node.minor,
        access: mapping.CgroupPermissions || "rwm",
      });
    }
  }
  return { nodes, rules };
}

function nodesAt(path: string, target: string): DeviceNode[] {
  try {
    const real = realpathSync(path);
    const stat = statSync(real);
    if (stat.isDirectory()) return nodesBelow(real, target);
    const node = nodeOf(stat, target);
    if (node === undefined) throw new Error("not a device node");
    return [node];
  } catch (error) {
    const reason = errnoOf(error) === "ENOENT" ? "no such file or directory" : (error as Error).message;
    throw new EngineError(
      "invalid",
      `error gathering device information while adding custom device "${path}": ${reason}`,
    );
  }
}

function nodesBelow(folder: string, target: string): DeviceNode[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : nodesBelow(path, join(target, entry.name));
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return [];
    const node = nodeOf(lstatSync(path), join(target, entry.name));
    return node === undefined ? [] : [node];
  });
}

/** File systems of their own below /dev. */
const SKIPPED = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]);

function nodeOf(stat: Stats, path: string): DeviceNode | undefined {
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined;
  const type = stat.isCharacterDevice() ? "c" : "b";
  return { path, type, ...deviceNumbers(stat.rdev), fileMode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}

/** Every device of the host, for `--privileged`; the runtimes make the terminals and the standard nodes themselves. */
export function allDevices(): Devices {
  const made = new Set([
    "/dev/console",
    "/dev/ptmx",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
  ]);
  const nodes = nodesBelow("/dev", "/dev").filter((node) => !made.has(node.path));
  return { nodes, rules: [{ allow: true, access: "rwm" }] };
}

const RULE = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/;

/** "c 42:* rmw". Throws "invalid" with Docker's text. */
export function parseDeviceRule(text: string): DeviceRule {
  const match = RULE.exec(text);
  if (match === null) throw new EngineError("invalid", `invalid device cgroup rule format: '${text}'`);
  const [, type = "", major = "", minor = "", access = ""] = match;
  return {
    allow: true,
    type,
    access,
    ...(major === "*" ? {} : { major: Number(major) }),
    ...(minor === "*" ? {} : { minor: Number(minor) }),
  };
}
