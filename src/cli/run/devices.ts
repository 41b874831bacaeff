/** Devices of the host, limits of their use, and GPUs. */
import type { DeviceMapping, DeviceRequest, ThrottleDevice } from "../../api/types/container.ts";
import { parseBytes, parseCsv } from "../flags/values.ts";

const isCdi = (word: string) => /^[\w.-]+\/[\w.-]+=[\w.:-]+$/.test(word);
const isMode = (word: string) => /^[rwm]{1,3}$/.test(word) && new Set(word).size === word.length;

/** "/dev/a", "/dev/a:/dev/b", "/dev/a:rw", "/dev/a:/dev/b:rw". */
export function deviceMappings(words: readonly string[]): DeviceMapping[] {
  return words
    .filter((word) => !isCdi(word))
    .map((word) => {
      const [host = "", second, third, more] = word.split(":");
      if (more !== undefined || host === "") throw new Error(`invalid device specification: ${word}`);
      if (third !== undefined && !isMode(third)) throw new Error(`bad mode specified: ${third}`);
      const modeAlone = third === undefined && second !== undefined && isMode(second);
      return {
        PathOnHost: host,
        PathInContainer: second === undefined || modeAlone ? host : second,
        CgroupPermissions: modeAlone ? second : (third ?? "rwm"),
      };
    });
}

/** GPUs, and devices by their CDI names. */
export function deviceRequests(gpus: readonly string[], devices: readonly string[]): DeviceRequest[] {
  const cdi = devices.filter(isCdi);
  return [...gpus.map(gpuRequest), ...(cdi.length === 0 ? [] : [{ Driver: "cdi", DeviceIDs: cdi }])];
}

export function gpuRequest(text: string): DeviceRequest {
  const request: DeviceRequest = {};
  const extra: string[] = [];
  const seen = new Set<string>();
  for (const field of parseCsv(text)) {
    const equals = field.indexOf("=");
    const [key, value] = equals < 0 ? ["count", field] : [field.slice(0, equals), field.slice(equals + 1)];
    if (seen.has(key)) throw new Error(`gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (key === "count") request.Count = value === "all" ? -1 : gpuCount(value);
    else if (key === "driver") request.Driver = value;
    else if (key === "device") request.DeviceIDs = value.split(",");
    else if (key === "capabilities") extra.push(...value.split(","));
    else if (key === "options") request.Options = Object.fromEntries(value.split(",").map((one) => one.split("=")));
    else throw new Error(`unexpected key '${key}' in '${field}'`);
  }
  if (request.Count === undefined && request.DeviceIDs === undefined) request.Count = 1;
  return { ...request, Capabilities: [[...new Set([...extra, "gpu"])]] };
}

function gpuCount(text: string): number {
  if (!/^\d+$/.test(text))
    throw new Error(`invalid count (${text}): value must be either "all" or an integer: invalid syntax`);
  return Number(text);
}

export function throttles(words: readonly string[]): ThrottleDevice[] {
  return words.map((word) => {
    const [Path = "", rate = ""] = word.split(":");
    return { Path, Rate: parseBytes(rate) };
  });
}

export function weights(words: readonly string[]): { Path: string; Weight: number }[] {
  return words.map((word) => {
    const [Path = "", weight] = word.split(":");
    return { Path, Weight: Number(weight) };
  });
}
