/** What is wrong with one value of a flag, in docker's words; undefined: nothing. */
import { isIP } from "node:net";
import { IPC_SYSCTLS } from "../../oci/ipc-sysctls.ts";
import { parseBytes, parseCsv, parseInt64, parseUint64 } from "../flags/values.ts";
import { gpuRequest } from "./devices.ts";
import { parseMount } from "./mount-flag.ts";
import { parseUlimit } from "./ulimits.ts";

type Check = (value: string) => string | undefined;

export const hostEntry: Check = (value) => {
  const [name = "", address] = splitHost(value);
  if (address === undefined || name === "") return `bad format for add-host: ${JSON.stringify(value)}`;
  const bare = address.replace(/^\[(.*)\]$/, "$1");
  return bare === "host-gateway" || isIP(bare) !== 0
    ? undefined
    : `invalid IP address in add-host: ${JSON.stringify(address)}`;
};

/** "host:ip" or "host=ip"; the address may have colons. */
export function splitHost(value: string): [string, string | undefined] {
  const at = value.search(/[=:]/);
  return at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)];
}

export const streamName: Check = (value) =>
  /^std(in|out|err)$/i.test(value) ? undefined : "valid streams are STDIN, STDOUT and STDERR";

export const ipAddress: Check = (value) =>
  isIP(value.trim()) !== 0 ? undefined : `IP address is not correctly formatted: ${value}`;

export const environment: Check = (value) =>
  value === "" || value.startsWith("=") ? `invalid environment variable: ${value}` : undefined;

export const label: Check = (value) => (/^\s*(=|$)/.test(value) ? `invalid label '${value}': empty name` : undefined);

export const deviceRule: Check = (value) =>
  /^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(value) ? undefined : `invalid device cgroup format '${value}'`;

export const notNegative: Check = (value) => (value.startsWith("-") ? `invalid size: '${value}'` : undefined);

export const sysctl: Check = (value) => {
  const [key = "", ...rest] = value.split("=");
  const known = IPC_SYSCTLS.has(key) || /^(net|fs\.mqueue)\./.test(key);
  return rest.length > 0 && known ? undefined : `sysctl '${value}' is not allowed`;
};

export const gpus: Check = (value) => complaint(() => gpuRequest(value));

/** "container" or "container:alias". */
export const link: Check = (value) => (/^[^:]+(:[^:]*)?$/.test(value) ? undefined : `bad format for links: ${value}`);

export const ulimit: Check = (value) => complaint(() => parseUlimit(value));
export const mountWords: Check = (value) => complaint(() => parseMount(value));

export const networkWords: Check = (value) => {
  if (!value.includes("=")) return undefined;
  for (const field of parseCsv(value)) {
    const key = field.split("=")[0]?.trim().toLowerCase() ?? "";
    if (!field.includes("=")) return `invalid field ${field}`;
    if (!NETWORK_KEYS.has(key)) return `invalid field key ${key}`;
  }
  return undefined;
};
const NETWORK_KEYS = new Set([
  "name",
  "alias",
  "ip",
  "ip6",
  "mac-address",
  "link-local-ip",
  "driver-opt",
  "gw-priority",
]);

export const deviceWeight: Check = (value) => deviceValue(value, (text) => weight(text, value));
export const deviceBytes: Check = (value) =>
  deviceValue(value, (text) =>
    rate(
      text,
      value,
      parseBytes,
      "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb",
    ),
  );
export const deviceCount: Check = (value) =>
  deviceValue(value, (text) =>
    rate(text, value, parseUint64, "<device-path>:<number>. Number must be a positive integer"),
  );

function deviceValue(value: string, check: (text: string) => string | undefined): string | undefined {
  const [path = "", number, more] = value.split(":");
  if (path === "" || number === undefined || more !== undefined) return `bad format: ${value}`;
  if (!path.startsWith("/dev/")) return `bad format for device path: ${value}`;
  return check(number);
}

function weight(text: string, value: string): string | undefined {
  const fail = `invalid weight for device: ${value}`;
  return complaint(() => {
    const number = parseInt64(text);
    if (number !== 0 && (number < 10 || number > 1000)) throw new Error(fail);
  }, fail);
}

function rate(text: string, value: string, parse: (text: string) => number, format: string): string | undefined {
  const fail = `invalid rate for device: ${value}. The correct format is ${format}`;
  return complaint(() => parse(text), fail);
}

function complaint(act: () => unknown, instead?: string): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return instead ?? (error as Error).message;
  }
}
