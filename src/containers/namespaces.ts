/** Which namespaces a container gets: its own, the machine's, or another container's. */
import { EngineError } from "../base/errors.ts";
import type { Sandbox } from "../networks/networks.ts";
import type { ShmSource } from "../runtime/default-mounts.ts";
import type { NamespaceChoice, NamespaceChoices } from "../runtime/namespaces.ts";
import { mountShm } from "../runtime/shm.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { isLive } from "./state.ts";

export function chooseNamespaces(
  context: Context,
  container: Container,
  sandbox: Sandbox,
): { readonly namespaces: NamespaceChoices; readonly shm: ShmSource } {
  const { hostConfig } = container.definition;
  return {
    namespaces: {
      network: sandbox.netns === undefined ? "host" : { path: sandbox.netns },
      pid: pidNamespace(context, hostConfig.PidMode ?? ""),
      ipc: ipcNamespace(context, hostConfig.IpcMode ?? ""),
      uts: hostConfig.UTSMode === "host" ? "host" : "new",
      cgroup: hostConfig.CgroupnsMode === "host" ? "host" : "new",
    },
    shm: shmSource(context, container),
  };
}

function pidNamespace(context: Context, mode: string): NamespaceChoice {
  if (mode === "host") return "host";
  const donor = donorOf(context, mode, "PID");
  return donor === undefined ? "new" : { path: `/proc/${donor.task?.pid ?? 0}/ns/pid` };
}

function ipcNamespace(context: Context, mode: string): NamespaceChoice {
  if (mode === "host") return "host";
  const donor = ipcDonor(context, mode);
  return donor === undefined ? "new" : { path: `/proc/${donor.task?.pid ?? 0}/ns/ipc` };
}

function shmSource(context: Context, container: Container): ShmSource {
  const { IpcMode = "", ShmSize = 0 } = container.definition.hostConfig;
  if (IpcMode === "none") return "none";
  if (IpcMode === "host") return { path: "/dev/shm" };
  if (IpcMode === "shareable") {
    const path = context.paths.shm(container.id);
    mountShm(path, ShmSize);
    return { path };
  }
  const donor = ipcDonor(context, IpcMode);
  if (donor === undefined) return { size: ShmSize };
  return donor.definition.hostConfig.IpcMode === "host" ? { path: "/dev/shm" } : { path: context.paths.shm(donor.id) };
}

function ipcDonor(context: Context, mode: string): Container | undefined {
  const donor = donorOf(context, mode, "IPC");
  const own = donor?.definition.hostConfig.IpcMode;
  if (donor !== undefined && own !== "shareable" && own !== "host")
    throw new EngineError(
      "invalid",
      `cannot join IPC of container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  return donor;
}

/** The running container of "container:<id>"; undefined for other modes. */
export function donorOf({ registry }: Context, mode: string, what: string): Container | undefined {
  const id = /^container:(.+)$/.exec(mode)?.[1];
  if (id === undefined) return undefined;
  const donor = registry.get(id);
  if (!isLive(donor.state))
    throw new EngineError("conflict", `cannot join ${what} of a non running container: ${donor.id}`);
  return donor;
}
