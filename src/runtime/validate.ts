import type { ContainerConfig, HostConfig, Resources } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { CgroupFeatures } from "../kernel/cgroups.ts";
import type { Host } from "../kernel/host.ts";
import { normalizeCapabilities } from "./capabilities.ts";
import { parseDeviceRule } from "./devices.ts";
import { parseSecurityOptions } from "./security-options.ts";
import { checkModes } from "./validate-modes.ts";
import { checkResources } from "./validate-resources.ts";

export interface ValidationContext {
  readonly features: CgroupFeatures;
  readonly host: Host;
  /** Names of the runtimes that can be asked for. */
  readonly runtimes: readonly string[];
}

/**
 * The checks of a create request that are not about images, networks, mounts or logs. Throws "invalid" with Docker's text; returns
 * the warnings for what this kernel cannot do.
 */
export function validateCreate(config: ContainerConfig, hostConfig: HostConfig, context: ValidationContext): string[] {
  checkConfig(config);
  checkHostConfig(hostConfig, context);
  checkModes(config, hostConfig);
  return checkResources(hostConfig, context);
}

/** The same for an update of a container whose limits are `current`: the two together must make sense. */
export function validateUpdate(changes: Resources, current: Resources, context: ValidationContext): string[] {
  const given = Object.entries(changes).filter(
    ([, value]) => value !== undefined && value !== null && value !== 0 && value !== "",
  );
  return checkResources({ ...current, ...Object.fromEntries(given) }, context);
}

const NANOSECONDS_PER_MILLISECOND = 1_000_000;

function checkConfig(config: ContainerConfig): void {
  const { WorkingDir, Env, Healthcheck } = config;
  if (WorkingDir && !WorkingDir.startsWith("/")) {
    throw refused(`the working directory '${WorkingDir}' is invalid, it needs to be an absolute path`);
  }
  for (const entry of Env ?? []) {
    if (entry === "" || entry.startsWith("=")) throw refused(`invalid environment variable: ${entry}`);
  }
  if (Healthcheck) checkHealth(Healthcheck);
}

function checkHealth(health: NonNullable<ContainerConfig["Healthcheck"]>): void {
  const durations = ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const;
  for (const name of durations) {
    const value = health[name] ?? 0;
    if (value !== 0 && value < NANOSECONDS_PER_MILLISECOND)
      throw refused(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((health.Retries ?? 0) < 0) throw refused("Retries in Healthcheck cannot be negative");
  checkHealthAction(health.OnFailure ?? "");
}

/** What an unhealthy container may have done to it: see containers/health-action.ts. */
const HEALTH_ACTIONS: readonly string[] = ["none", "restart", "stop", "kill"];

/** An annotation that says the same as `Healthcheck.OnFailure`, for clients that do not know that field. */
export const HEALTH_ANNOTATION = "gantry.health-on-failure";

function checkHealthAction(action: string): void {
  if (action !== "" && !HEALTH_ACTIONS.includes(action))
    throw refused(`invalid action on health failure '${action}': use one of 'none', 'restart', 'stop', or 'kill'`);
}

function checkHostConfig(hostConfig: HostConfig, { host, runtimes }: ValidationContext): void {
  if (Object.keys(hostConfig.StorageOpt ?? {}).length > 0)
    throw refused("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
  const { AutoRemove, RestartPolicy, ShmSize = 0, OomScoreAdj = 0, Isolation, Annotations, Runtime } = hostConfig;
  if (AutoRemove && RestartPolicy?.Name && RestartPolicy.Name !== "no") {
    throw refused("can't create 'AutoRemove' container with restart policy");
  }
  checkRestartPolicy(hostConfig);
  normalizeCapabilities(hostConfig.CapAdd ?? [], "CapAdd", host.capabilities);
  normalizeCapabilities(hostConfig.CapDrop ?? [], "CapDrop", host.capabilities);
  parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  for (const rule of hostConfig.DeviceCgroupRules ?? []) parseDeviceRule(rule);
  if (ShmSize < 0) throw refused("SHM size can not be less than 0");
  if (OomScoreAdj < -1000 || OomScoreAdj > 1000) {
    throw refused(`Invalid value ${OomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  }
  if (Isolation && Isolation !== "default") {
    throw refused(`invalid isolation '${Isolation}' on linux`);
  }
  if (Object.keys(hostConfig.StorageOpt ?? {}).length > 0) {
    throw new EngineError(
      "invalid",
      "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
      {
        hint: "The storage drivers limit no sizes. Keep what may grow in a volume of its own, or on a tmpfs with a size.",
      },
    );
  }
  if (Annotations && Object.hasOwn(Annotations, "")) {
    throw refused("invalid Annotations: the empty string is not permitted as an annotation key");
  }
  checkHealthAction(Annotations?.[HEALTH_ANNOTATION] ?? "");
  if (Runtime && !runtimes.includes(Runtime) && Runtime !== "io.containerd.runc.v2") {
    throw refused(`unknown or invalid runtime name: ${Runtime}`);
  }
}

const RESTART_POLICIES = ["no", "always", "on-failure", "unless-stopped"];

/** Throws "invalid" with Docker's texts. */
export function checkRestartPolicy({ RestartPolicy }: HostConfig): void {
  const { Name = "", MaximumRetryCount = 0 } = RestartPolicy ?? {};
  if (Name !== "" && !RESTART_POLICIES.includes(Name)) {
    throw refused(
      `invalid restart policy: unknown policy '${Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (MaximumRetryCount < 0) throw refused("invalid restart policy: maximum retry count cannot be negative");
  if (MaximumRetryCount !== 0 && Name !== "on-failure") {
    throw refused("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  }
}

function refused(message: string): EngineError {
  return new EngineError("invalid", message);
}
