import type { ContainerUpdateRequest, ContainerUpdateResult, HostConfig, Resources } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import { checkRestartPolicy, validateUpdate } from "../runtime/validate.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { checkName } from "./names.ts";
import { notify } from "./notify.ts";
import { isLive } from "./state.ts";

/** Limits and the restart policy, of one that runs too; zero and absent leave as it is. */
export async function updateContainer(
  context: Context,
  container: Container,
  { RestartPolicy, ...wished }: ContainerUpdateRequest,
): Promise<ContainerUpdateResult> {
  return context.locks.run(container.id, async () => {
    const { id, state, definition } = container;
    const { hostConfig } = definition;
    refuseRemoved(container);
    const policy = RestartPolicy?.Name ? RestartPolicy : undefined;
    if (policy !== undefined) checkPolicy(hostConfig, policy);
    const { limits, warnings } = changeable(wished);
    refuseConflicts(limits, hostConfig);
    warnings.push(
      ...validateUpdate(limits, hostConfig, {
        features: context.cgroups.features,
        host: context.host,
        runtimes: context.runtime.runtimes.map(({ name }) => name),
      }),
    );
    if (isLive(state) && Object.keys(limits).length > 0) await context.runtime.update(id, limits);
    const changed: HostConfig = {
      ...hostConfig,
      ...limits,
      ...(policy === undefined
        ? {}
        : { RestartPolicy: { Name: policy.Name, MaximumRetryCount: policy.MaximumRetryCount ?? 0 } }),
    };
    context.registry.redefine(container, { ...definition, hostConfig: changed });
    notify(context, container, "update");
    return { Warnings: warnings };
  });
}

function refuseRemoved({ id, state }: Container): void {
  if (state.status === "removing" || state.status === "dead")
    throw new EngineError(
      "conflict",
      `cannot update container ${id}: container is marked for removal and cannot be "update"`,
    );
}

function checkPolicy({ AutoRemove }: HostConfig, policy: NonNullable<HostConfig["RestartPolicy"]>): void {
  if (AutoRemove && policy.Name !== "no")
    throw new EngineError(
      "invalid",
      "Restart policy cannot be updated because AutoRemove is enabled for the container",
    );
  checkRestartPolicy({ RestartPolicy: policy });
}

const CHANGEABLE: ReadonlySet<string> = new Set<keyof Resources>([
  "BlkioWeight",
  "CpuShares",
  "NanoCpus",
  "CpuPeriod",
  "CpuQuota",
  "CpusetCpus",
  "CpusetMems",
  "Memory",
  "MemorySwap",
  "MemoryReservation",
  "PidsLimit",
]);

/** What was given and can be changed; a warning for each of the rest. */
function changeable(wished: Resources): { limits: Resources; warnings: string[] } {
  const given = Object.entries(wished).filter(([field, value]) => isGiven(field, value));
  return {
    limits: Object.fromEntries(given.filter(([field]) => CHANGEABLE.has(field))),
    warnings: given
      .filter(([field]) => !CHANGEABLE.has(field))
      .map(([field]) => `${field} is fixed when a container is created. ${field} discarded.`),
  };
}

function isGiven(field: string, value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  // Zero takes the limit away.
  if (field === "PidsLimit") return typeof value === "number";
  return value !== undefined && value !== null && value !== 0 && value !== "" && value !== false;
}

/** With Docker's texts. It also refuses a limit of memory where there was none of swap; that does no harm. */
function refuseConflicts(wished: Resources, current: Resources): void {
  const conflicts: readonly (readonly [boolean, string])[] = [
    [
      (wished.NanoCpus ?? 0) > 0 && (current.CpuPeriod ?? 0) > 0,
      "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
    ],
    [
      (wished.NanoCpus ?? 0) > 0 && (current.CpuQuota ?? 0) > 0,
      "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
    ],
    [
      (wished.CpuPeriod ?? 0) > 0 && (current.NanoCpus ?? 0) > 0,
      "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
    ],
    [
      (wished.CpuQuota ?? 0) > 0 && (current.NanoCpus ?? 0) > 0,
      "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
    ],
    [
      !wished.MemorySwap && (current.MemorySwap ?? 0) > 0 && (wished.Memory ?? 0) > (current.MemorySwap ?? 0),
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    ],
  ];
  for (const [applies, message] of conflicts) if (applies) throw new EngineError("conflict", message);
}

export async function renameContainer(context: Context, container: Container, to: string): Promise<void> {
  if (to === "") throw new EngineError("invalid", "Neither old nor new names may be empty");
  const name = checkName(to);
  await context.locks.run(container.id, async () => {
    const old = container.name;
    if (name === old) throw new EngineError("invalid", "Renaming a container with the same name as its current name");
    context.registry.rename(container, name);
    await context.networks.rename(container.id, name);
    notify(context, container, "rename", { oldName: `/${old}` });
  });
}
