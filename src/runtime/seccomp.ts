import { EngineError } from "../base/errors.ts";
import { ALLOWED, ALLOWED_ARGUMENTS, ALLOWED_ON, ALLOWED_WITH, MISSING_WITHOUT } from "./seccomp-table.ts";
import type { Seccomp, SeccompArgument, SeccompRule } from "./spec-types.ts";

const EPERM = 1;
const ENOSYS = 38;

/** Node's name of an architecture to the specification's, its 32-bit siblings included. */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
  riscv64: ["SCMP_ARCH_RISCV64"],
  s390x: ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"],
  ppc64: ["SCMP_ARCH_PPC64LE"],
  loong64: ["SCMP_ARCH_LOONGARCH64"],
};

export interface SeccompSubject {
  readonly capabilities: readonly string[];
  /** As `process.arch`. */
  readonly architecture: string;
}

/** The default filter for a container with these capabilities; conditions are decided here, so that the runtime compiles less. */
export function defaultSeccomp({ capabilities, architecture }: SeccompSubject): Seccomp {
  const has = new Set(capabilities);
  const names = allowedNames({ capabilities, architecture });

  const syscalls: SeccompRule[] = [{ names: [...names], action: "SCMP_ACT_ALLOW" }];
  for (const { name, test, withoutCapability } of ALLOWED_ARGUMENTS) {
    if (withoutCapability !== undefined && has.has(withoutCapability)) continue;
    syscalls.push({ names: [name], action: "SCMP_ACT_ALLOW", args: [{ ...test }] });
  }
  for (const { name, capability } of MISSING_WITHOUT) {
    if (!has.has(capability)) syscalls.push({ names: [name], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS });
  }
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: EPERM,
    architectures: [...(ARCHITECTURES[architecture] ?? [])],
    syscalls,
  };
}

/** Names that the default filter allows without a look at the arguments. */
export function allowedNames({ capabilities, architecture }: SeccompSubject): Set<string> {
  const names = new Set(Object.values(ALLOWED).flatMap(words));
  for (const entry of ALLOWED_ON) if (entry.architectures.includes(architecture)) addAll(names, words(entry.names));
  for (const name of capabilities) addAll(names, words(ALLOWED_WITH[name] ?? ""));
  return names;
}

function words(list: string): string[] {
  return list.split(/\s+/).filter((word) => word !== "");
}

function addAll(set: Set<string>, items: readonly string[]): void {
  for (const item of items) set.add(item);
}

/** A profile file in Docker's form: rules may depend on capabilities, architectures and the kernel's version. */
interface Profile {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  archMap?: { architecture: string; subArchitectures?: string[] | null }[] | null;
  flags?: string[];
  listenerPath?: string;
  syscalls?: ProfileRule[] | null;
}

interface ProfileRule {
  name?: string;
  names?: string[] | null;
  action: string;
  errnoRet?: number;
  args?: SeccompArgument[] | null;
  includes?: ProfileCondition | null;
  excludes?: ProfileCondition | null;
}

interface ProfileCondition {
  caps?: string[] | null;
  arches?: string[] | null;
  minKernel?: string | null;
}

/** Decides a profile's conditions for this container. Throws "invalid" when the text is no profile. */
export function parseSeccompProfile(
  text: string,
  subject: SeccompSubject & { readonly kernelVersion: string },
): Seccomp {
  const profile = parseProfile(text);
  const syscalls = (profile.syscalls ?? [])
    .filter((rule) => applies(rule, subject))
    .map(
      (rule): SeccompRule => ({
        names: rule.names?.length ? [...rule.names] : [rule.name ?? ""],
        action: rule.action,
        ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
        ...(rule.args?.length ? { args: rule.args } : {}),
      }),
    );
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: profileArchitectures(profile, subject.architecture),
    ...(profile.flags?.length ? { flags: profile.flags } : {}),
    ...(profile.listenerPath ? { listenerPath: profile.listenerPath } : {}),
    syscalls,
  };
}

function parseProfile(text: string): Profile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EngineError("invalid", `decoding seccomp profile failed: ${(error as Error).message}`);
  }
  const profile = value as Profile | null;
  if (typeof profile !== "object" || profile === null || typeof profile.defaultAction !== "string") {
    throw new EngineError("invalid", "decoding seccomp profile failed: defaultAction is missing");
  }
  if (profile.architectures?.length && profile.archMap?.length) {
    throw new EngineError(
      "invalid",
      "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  for (const rule of profile.syscalls ?? []) {
    if (rule.name && rule.names?.length) {
      throw new EngineError(
        "invalid",
        "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'",
      );
    }
    if (typeof rule.action !== "string")
      throw new EngineError("invalid", "decoding seccomp profile failed: a rule has no action");
  }
  // JSON.parse has rounded a larger number already.
  const values = (profile.syscalls ?? [])
    .flatMap((rule) => rule.args ?? [])
    .flatMap(({ value, valueTwo = 0 }) => [value, valueTwo]);
  if (!values.every(Number.isSafeInteger)) {
    throw new EngineError("invalid", "decoding seccomp profile failed: an argument's value is too large or no number");
  }
  return profile;
}

function profileArchitectures(profile: Profile, architecture: string): string[] {
  if (profile.architectures?.length) return profile.architectures;
  const native = ARCHITECTURES[architecture]?.[0];
  const entry = profile.archMap?.find((candidate) => candidate.architecture === native);
  return entry === undefined ? [] : [entry.architecture, ...(entry.subArchitectures ?? [])];
}

/** Node's names of architectures to Go's, which profiles use. */
const GO_ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ["amd64"],
  arm64: ["arm64"],
  arm: ["arm"],
  ia32: ["386", "x86"],
  ppc64: ["ppc64le"],
};

function applies(
  { includes, excludes }: ProfileRule,
  subject: SeccompSubject & { readonly kernelVersion: string },
): boolean {
  const architectures = GO_ARCHITECTURES[subject.architecture] ?? [subject.architecture];
  const isOurs = (name: string) => architectures.includes(name);
  const held = (name: string) => subject.capabilities.includes(name);
  const recent = (version: string) => compareKernels(subject.kernelVersion, version) >= 0;
  if (excludes?.arches?.some(isOurs) || excludes?.caps?.some(held)) return false;
  if (excludes?.minKernel && recent(excludes.minKernel)) return false;
  if (includes?.arches?.length && !includes.arches.some(isOurs)) return false;
  if (includes?.caps?.length && !includes.caps.every(held)) return false;
  return !includes?.minKernel || recent(includes.minKernel);
}

/** Compares "6.18.44-x" and "4.8" by their first two numbers. */
function compareKernels(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(/[.-]/).slice(0, 2).map(Number));
  return (left?.[0] ?? 0) - (right?.[0] ?? 0) || (left?.[1] ?? 0) - (right?.[1] ?? 0);
}
