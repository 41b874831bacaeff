import { EngineError } from "../base/errors.ts";
import type { Capabilities } from "./spec-types.ts";

/** In the order of the kernel's numbers (linux/capability.h): the index is the bit. */
const NAMES = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
  .split(" ")
  .map((name) => `CAP_${name}`);

/** What a container has unless it asks for less or more; Docker's 14. */
const DEFAULTS =
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
    .split(" ")
    .map((name) => `CAP_${name}`);

export interface CapabilityRequest {
  readonly add?: readonly string[] | undefined;
  readonly drop?: readonly string[] | undefined;
  readonly privileged?: boolean | undefined;
  /** The machine's bounding set: bit n is capability n. Nothing outside it is ever asked for. */
  readonly available: bigint;
}

/** The names that a container gets, in the kernel's order. Throws "invalid" for an unknown or unavailable name that was asked for. */
export function resolveCapabilities({ add = [], drop = [], privileged, available }: CapabilityRequest): string[] {
  const added = normalizeCapabilities(add, "CapAdd", available);
  const dropped = normalizeCapabilities(drop, "CapDrop", available);
  const possible = availableCapabilities(available);
  const wanted = new Set(privileged ? possible : choose(added, dropped, possible));
  return possible.filter((name) => wanted.has(name));
}

function choose(added: readonly string[], dropped: readonly string[], possible: readonly string[]): readonly string[] {
  if (added.includes("ALL")) return possible.filter((name) => !dropped.includes(name));
  if (dropped.includes("ALL")) return added;
  return [...DEFAULTS.filter((name) => !dropped.includes(name)), ...added];
}

/** Every capability in the bounding set that has a name. */
export function availableCapabilities(available: bigint): string[] {
  return NAMES.filter((_, bit) => (available >> BigInt(bit)) & 1n);
}

/** Upper case with CAP_ prefix, or "ALL". Throws "invalid" with Docker's text. Dropping what the machine lacks is no error. */
export function normalizeCapabilities(
  names: readonly string[],
  field: "CapAdd" | "CapDrop",
  available: bigint,
): string[] {
  return names.map((given) => {
    const upper = given.toUpperCase();
    if (upper === "ALL") return upper;
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    const bit = NAMES.indexOf(name);
    if (bit < 0) throw new EngineError("invalid", `invalid ${field}: unknown capability: "${name}"`);
    if (field === "CapAdd" && !((available >> BigInt(bit)) & 1n)) {
      throw new EngineError(
        "invalid",
        `invalid ${field}: capability not supported by your kernel or not available in the current environment: "${name}"`,
      );
    }
    return name;
  });
}

/** The sets of a process. The inheritable set stays empty, so that a file's inheritable capabilities give nothing. */
export function capabilitySets(names: readonly string[]): Capabilities {
  return { bounding: [...names], effective: [...names], permitted: [...names] };
}
