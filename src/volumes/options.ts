/** The local driver's options: what mount(8) takes as -t, -o and its device. */
import { isIP } from "node:net";
import { EngineError, errorMessage } from "../base/errors.ts";
import { MOUNT_FLAGS, type MountFlag, type MountRequest } from "../kernel/mounts.ts";

const KNOWN = new Set(["type", "o", "device", "size"]);

/** Throws "invalid" with Docker's texts. */
export function checkOptions(options: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(options))
    if (!KNOWN.has(name)) throw new EngineError("invalid", `create volume: invalid option: "${name}"`);
  if (!needsMount(options)) return;
  if (options.device === undefined || options.device === "")
    throw new EngineError("invalid", `missing device in volume options`);
  if (!isBind(options) && (options.type ?? "") === "")
    throw new EngineError("invalid", `missing type in volume options`);
}

/** Whether the volume's data is a mount, and not just its folder. */
export function needsMount({ type, o, device }: Readonly<Record<string, string>>): boolean {
  return [type, o, device].some((value) => value !== undefined && value !== "");
}

/** Whether what is mounted may be another machine's, which may be away: a bind's path may lead to it too. */
export function isFar(options: Readonly<Record<string, string>>): boolean {
  return needsMount(options) && !["tmpfs", "ramfs"].includes(options.type ?? "");
}

/** Whether a server keeps the data: neither a bind nor a device of this machine. */
export function isServed(options: Readonly<Record<string, string>>): boolean {
  return isFar(options) && !isBind(options) && !(options.device ?? "").startsWith("/dev/");
}

function isBind({ type = "", o = "" }: Readonly<Record<string, string>>): boolean {
  return ["none", "bind"].includes(type) || o.split(",").some((option) => option === "bind" || option === "rbind");
}

/** Flag names of mount(8) whose effect is a bit; the ones that take a bit away need nothing. */
const FLAG_NAMES: Readonly<Record<string, MountFlag | undefined>> = {
  ...Object.fromEntries(Object.keys(MOUNT_FLAGS).map((name) => [name, name as MountFlag])),
  rw: undefined,
  suid: undefined,
  dev: undefined,
  exec: undefined,
  async: undefined,
  atime: undefined,
  defaults: undefined,
};

/** The mount that makes the volume's data appear at `target`. */
export function mountOf(options: Readonly<Record<string, string>>, target: string): MountRequest {
  const words = (options.o ?? "").split(",").filter((word) => word !== "");
  const flags = words.flatMap((word) => {
    if (word === "rbind") return ["bind", "rec"] as const;
    const flag = FLAG_NAMES[word];
    return flag === undefined ? [] : [flag];
  });
  const data = words.filter((word) => word !== "rbind" && !Object.hasOwn(FLAG_NAMES, word));
  const type = options.type ?? "";
  const { device = "" } = options;
  return {
    source: type.startsWith("nfs") && device.startsWith(":") ? `${bracketed(hostOf(data))}${device}` : device,
    target,
    type: type === "" || type === "none" ? "none" : type,
    flags: ["none", "bind"].includes(type) && !flags.includes("bind") ? ["bind", ...flags] : flags,
    data: data.join(","),
  };
}

function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

/** Finds an address by its name. */
export type Lookup = (host: string) => Promise<string>;

/**
 * The same options with the server's address where its name is: the kernel mounts nfs by `addr`, and cifs by the device's host, and looks up
 * no names. "unavailable" for a name that is not found.
 */
export async function withAddress(
  options: Readonly<Record<string, string>>,
  lookUp: Lookup,
): Promise<Readonly<Record<string, string>>> {
  const { type = "", o = "", device = "" } = options;
  const name = type.startsWith("nfs") ? hostOf(o.split(",")) : type === "cifs" ? cifsHost(device) : "";
  if (name === "" || isIP(name) !== 0) return options;
  const address = await lookUp(name).catch((cause) => {
    throw new EngineError("unavailable", `error resolving the volume's server ${name}: ${errorMessage(cause)}`, {
      cause,
    });
  });
  return type === "cifs"
    ? { ...options, device: device.replace(`//${name}`, `//${address}`) }
    : {
        ...options,
        o: o
          .split(",")
          .map((word) => (word === `addr=${name}` ? `addr=${address}` : word))
          .join(","),
      };
}

function cifsHost(device: string): string {
  return /^(?:cifs:|smb:)?\/\/([^/:]+)/.exec(device)?.[1] ?? "";
}

/** For error messages. */
export function withoutPassword(data: string): string {
  return data.replace(/(^|,)((?:password|pass)2?=)[^,]*/g, "$1$2********");
}

/** nfs mounts name their server in `addr`. */
function hostOf(data: readonly string[]): string {
  return data.find((word) => word.startsWith("addr="))?.slice("addr=".length) ?? "";
}
