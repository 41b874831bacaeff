import { EngineError } from "../base/errors.ts";

/** HostConfig.SecurityOpt, taken apart. */
export interface SecurityOptions {
  readonly noNewPrivileges: boolean | undefined;
  /** "unconfined", "builtin", or a profile's JSON; undefined: the daemon's default. */
  readonly seccomp: string | undefined;
  /** A profile's name or "unconfined"; undefined: the default. */
  readonly appArmor: string | undefined;
  readonly labels: readonly string[];
  readonly unconfinedSystemPaths: boolean;
  readonly writableCgroups: boolean;
}

const KEYS = new Set(["label", "apparmor", "seccomp", "no-new-privileges", "systempaths", "writable-cgroups"]);

/** Throws "invalid" with Docker's texts. */
export function parseSecurityOptions(options: readonly string[] = []): SecurityOptions {
  const parsed = { noNewPrivileges: undefined as boolean | undefined, seccomp: undefined as string | undefined };
  let appArmor: string | undefined;
  let unconfinedSystemPaths = false;
  let writableCgroups = false;
  const labels: string[] = [];
  for (const option of options) {
    const [key, value] = split(option);
    if (key === "label") labels.push(value);
    else if (key === "apparmor") appArmor = value;
    else if (key === "seccomp") parsed.seccomp = value;
    else if (key === "no-new-privileges") parsed.noNewPrivileges = parseBoolean(value, option);
    else if (key === "writable-cgroups") writableCgroups = parseBoolean(value, option);
    else if (value === "unconfined") unconfinedSystemPaths = true;
    else throw refused(2, option);
  }
  return Object.freeze({ ...parsed, appArmor, labels, unconfinedSystemPaths, writableCgroups });
}

function split(option: string): [key: string, value: string] {
  if (option === "no-new-privileges") return [option, "true"];
  if (option === "disable") return ["label", option];
  const at = option.includes("=") ? option.indexOf("=") : option.indexOf(":");
  if (at < 0) throw refused(1, option);
  const key = option.slice(0, at);
  if (!KEYS.has(key)) throw refused(2, option);
  return [key, option.slice(at + 1)];
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  "1": true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  "0": false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

function parseBoolean(value: string, option: string): boolean {
  const result = Object.hasOwn(BOOLEANS, value) ? BOOLEANS[value] : undefined;
  if (result === undefined) throw refused(2, option);
  return result;
}

function refused(step: 1 | 2, option: string): EngineError {
  return new EngineError("invalid", `invalid --security-opt ${step}: ${JSON.stringify(option)}`);
}
