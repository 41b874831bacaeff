/** A container's specification with what its devices by name need. */
import { statSync } from "node:fs";
import { EngineError, errorMessage } from "../base/errors.ts";
import { deviceNumbers } from "../kernel/nodes.ts";
import type { CdiDevice, CdiEdits, CdiHook, CdiMount, CdiNode } from "./cdi-specs.ts";
import type { DeviceNode, DeviceRule, Hooks, Process, Spec, SpecMount } from "./spec-types.ts";

/** Edits in the order of the devices; what a file says for all its devices is done once. Throws "invalid" for nodes that are not there. */
export function withCdi(spec: Spec, devices: readonly CdiDevice[]): Spec {
  return [...new Set(devices.flatMap(({ edits }) => edits))].reduce(withEdits, spec);
}

function withEdits(spec: Spec, edits: CdiEdits): Spec {
  if (edits.intelRdt !== undefined || (edits.netDevices ?? []).length > 0)
    throw new EngineError("invalid", "CDI device injection failed: intelRdt and netDevices are not supported");
  const nodes = (edits.deviceNodes ?? []).map((node) => deviceNode(node, spec.process.user));
  const added = new Set(nodes.map(({ node }) => node.path));
  const { devices: before = [], resources } = spec.linux;
  const rules = nodes.flatMap(({ rule }) => (rule === undefined ? [] : [rule]));
  const hooks = withHooks(spec.hooks, edits.hooks ?? []);
  return {
    ...spec,
    process: withProcess(spec.process, edits),
    mounts: withMounts(spec.mounts, edits.mounts ?? []),
    ...(hooks === undefined ? {} : { hooks }),
    linux: {
      ...spec.linux,
      ...(nodes.length === 0
        ? {}
        : { devices: [...before.filter(({ path }) => !added.has(path)), ...nodes.map(({ node }) => node)] }),
      resources: { ...resources, devices: [...(resources?.devices ?? []), ...rules] },
    },
  };
}

function withProcess(before: Process, { env = [], additionalGids = [] }: CdiEdits): Process {
  const names = new Set(env.map((entry) => entry.slice(0, entry.indexOf("="))));
  const kept = before.env.filter((entry) => !names.has(entry.split("=", 1)[0] ?? ""));
  const gids = additionalGids.filter((gid) => gid !== 0);
  const groups = before.user.additionalGids ?? [];
  return {
    ...before,
    env: [...kept, ...env],
    ...(gids.length === 0 ? {} : { user: { ...before.user, additionalGids: [...new Set([...groups, ...gids])] } }),
  };
}

/** What the specification leaves out is that of the host's node. */
function deviceNode(wanted: CdiNode, user: Process["user"]): { node: DeviceNode; rule: DeviceRule | undefined } {
  const { path, hostPath = path, fileMode, permissions = "rwm", uid, gid } = wanted;
  const { type, major, minor } =
    wanted.type !== undefined && wanted.major !== undefined ? wanted : look(hostPath, wanted);
  const node: DeviceNode = {
    path,
    type: type ?? "c",
    major: major ?? 0,
    minor: minor ?? 0,
    ...(fileMode === undefined ? {} : { fileMode }),
    ...owner("uid", uid ?? user.uid),
    ...owner("gid", gid ?? user.gid),
  };
  const numbers = { major: node.major, minor: node.minor };
  return {
    node,
    rule: node.type === "p" ? undefined : { allow: true, type: node.type, ...numbers, access: permissions },
  };
}

const owner = (key: "uid" | "gid", id: number) => (id > 0 ? { [key]: id } : {});

function look(path: string, { type, major, minor }: CdiNode): Pick<CdiNode, "type" | "major" | "minor"> {
  try {
    const stat = statSync(path);
    const kind = stat.isCharacterDevice() ? "c" : stat.isBlockDevice() ? "b" : stat.isFIFO() ? "p" : undefined;
    if (kind === undefined) throw new Error("not a device node");
    const found = deviceNumbers(stat.rdev);
    return { type: type ?? kind, major: major ?? found.major, minor: minor ?? found.minor };
  } catch (error) {
    throw new EngineError("invalid", `CDI device injection failed: ${path}: ${errorMessage(error)}`, { cause: error });
  }
}

/** Outer places before inner ones; those of the specification that are there already are replaced. */
function withMounts(mounts: readonly SpecMount[], wanted: readonly CdiMount[]): SpecMount[] {
  if (wanted.length === 0) return [...mounts];
  const targets = new Set(wanted.map(({ containerPath }) => containerPath));
  const added = wanted.map(({ hostPath, containerPath, options = [], type = "" }) => ({
    destination: containerPath,
    source: hostPath,
    type: type === "" ? "bind" : type,
    options: options.length > 0 || type !== "" ? [...options] : ["rbind", "rprivate"],
  }));
  const depth = ({ destination }: SpecMount) => destination.split("/").filter((part) => part !== "").length;
  const all = [...mounts.filter(({ destination }) => !targets.has(destination)), ...added];
  return all.toSorted((one, other) => depth(one) - depth(other));
}

function withHooks(before: Hooks | undefined, wanted: readonly CdiHook[]): Hooks | undefined {
  if (wanted.length === 0) return before;
  const hooks: Record<string, object[]> = { ...before };
  for (const { hookName, path, args, env, timeout } of wanted)
    hooks[hookName] = [
      ...(hooks[hookName] ?? []),
      { path, ...(args ? { args } : {}), ...(env ? { env } : {}), ...(timeout === undefined ? {} : { timeout }) },
    ];
  return hooks as Hooks;
}
