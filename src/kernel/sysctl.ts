/** Kernel parameters of network namespaces: "net/ipv4/ip_forward". */
import { readFileSync, writeFileSync } from "node:fs";
import { native } from "./native.ts";

/** Undefined when the kernel has no such parameter. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Whether the parameter has the value now; written only when it differs. */
export function ensureSysctl(name: string, value: string): boolean {
  if (readSysctl(name) === value) return true;
  try {
    writeFileSync(`/proc/sys/${name}`, value);
    return true;
  } catch {
    return false;
  }
}

/** The same parameter of another namespace. Throws ENOENT when it has none such, EINVAL for a value that the kernel refuses. */
export function writeSysctlInside(netns: string, name: string, value: string): void {
  native.writeFileInside(netns, `/proc/sys/${name}`, value);
}

/** Whether the host has IPv6 addresses, be it the loopback's alone. */
export function hostHasIpv6(): boolean {
  try {
    return readFileSync("/proc/net/if_inet6", "latin1") !== "";
  } catch {
    return false;
  }
}

/** Another one each time that the machine is started. */
export function readBootId(): string {
  return readSysctl("kernel/random/boot_id") ?? "";
}
