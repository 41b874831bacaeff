/** The AppArmor profile of containers that name none: loaded where the kernel has AppArmor, and told to whom it concerns. */
import type { HostConfig } from "../api/types/container.ts";
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type Host, readHost } from "../kernel/host.ts";
import { run } from "../kernel/spawn.ts";
import { parseSecurityOptions } from "./security-options.ts";

/** Docker's name: one that Docker loaded before serves as well, and users name it in their options. */
export const DEFAULT_PROFILE = "docker-default";

/**
 * The host, with the default profile loaded unless the kernel has no AppArmor. Never throws: without `apparmor_parser` containers run
 * unconfined, and a warning says so.
 */
export async function readHostWithProfile(logger: Logger): Promise<Host> {
  const host = readHost();
  if (!host.appArmor || host.appArmorProfiles.has(DEFAULT_PROFILE)) return host;
  try {
    const { code, stderr } = await run("apparmor_parser", ["--skip-cache", "--replace"], { input: PROFILE });
    if (code !== 0) throw new Error(stderr.toString().trim());
  } catch (error) {
    logger.log("warn", "containers run without AppArmor: its profile could not be loaded", {
      error: errorMessage(error),
      hint: "install apparmor (apparmor_parser)",
    });
    return host;
  }
  return Object.freeze({ ...host, appArmorProfiles: new Set([...host.appArmorProfiles, DEFAULT_PROFILE]) });
}

/** What confines the container's processes: a profile's name, or undefined for nothing. */
export function appArmorProfile(
  { Privileged, SecurityOpt }: Pick<HostConfig, "Privileged" | "SecurityOpt">,
  { appArmor: present, appArmorProfiles }: Pick<Host, "appArmor" | "appArmorProfiles">,
): string | undefined {
  if (!present) return undefined;
  const { appArmor } = parseSecurityOptions(SecurityOpt ?? []);
  if (appArmor !== undefined && appArmor !== "") return appArmor === "unconfined" ? undefined : appArmor;
  return !Privileged && appArmorProfiles.has(DEFAULT_PROFILE) ? DEFAULT_PROFILE : undefined;
}

/** A path of numbers below /proc (one process) is its own business; everything else there that can be written changes the machine. */
const NO_PROCESS = "{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}";

/**
 * A second fence behind namespaces and capabilities: no mounts, no writing to the machine's own /proc and /sys, no signals to and no
 * tracing of what runs outside. Signals come in from the engine, and from runtimes that the distribution confines.
 */
const PROFILE = `
profile ${DEFAULT_PROFILE} flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,

  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send, receive) peer=${DEFAULT_PROFILE},
  ptrace (trace, read, tracedby, readby) peer=${DEFAULT_PROFILE},

  deny mount,
  deny /proc/* w,
  deny /proc/${NO_PROCESS}/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/{?,??,[^s][^h][^m]**} w,
  deny /proc/{sysrq-trigger,kcore,kmem,mem} rwklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
`;
