import type { ContainerUpdateRequest, ContainerUpdateResult, HostConfig } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import { validateUpdate } from "../runtime/validate.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { checkName } from "./names.ts";
import { notify } from "./notify.ts";
import { isLive } from "./state.ts";

/** Limits and the restart policy; zero and absent leave as it is. */
export async function updateContainer(
  context: Context,
  container: Container,
  { RestartPolicy, ...resources }: ContainerUpdateRequest,
): Promise<ContainerUpdateResult> {
  return context.locks.run(container.id, async () => {
    const { id, state, definition } = container;
    if (state.status === "removing" || state.status === "dead")
      throw new EngineError(
        "conflict",
        `cannot update container ${id}: container is marked for removal and cannot be "update"`,
      );
    const { hostConfig } = definition;
    const policy = RestartPolicy?.Name ? RestartPolicy : undefined;
    if (policy !== undefined && hostConfig.AutoRemove)
      throw new EngineError(
        "invalid",
        "Restart policy cannot be updated because AutoRemove is enabled for the container",
      );
    const warnings = validateUpdate(resources, hostConfig, {
      features: context.cgroups.features,
      host: context.host,
      runtimes: context.runtime.runtimes.map(({ name }) => name),
    });
    const given = Object.fromEntries(Object.entries(resources).filter(([, value]) => isGiven(value)));
    if (isLive(state) && Object.keys(given).length > 0) await context.runtime.update(id, resources);
    const changed: HostConfig = {
      ...hostConfig,
      ...given,
      ...(policy === undefined
        ? {}
        : { RestartPolicy: { Name: policy.Name, MaximumRetryCount: policy.MaximumRetryCount ?? 0 } }),
    };
    context.registry.redefine(container, { ...definition, hostConfig: changed });
    notify(context, container, "update");
    return { Warnings: warnings };
  });
}

function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== null && value !== 0 && value !== "";
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
