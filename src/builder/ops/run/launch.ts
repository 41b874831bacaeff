import type { HostConfig, Resources } from "../../../api/types/container.ts";
import { cgroupPath } from "../../../kernel/cgroups.ts";
import type { ContainerMount } from "../../../runtime/container-mounts.ts";
import { fillHostConfig } from "../../../runtime/host-config-defaults.ts";
import type { ExitRecord, Task } from "../../../runtime/runtime.ts";
import { buildSpec } from "../../../runtime/spec.ts";
import type { Spec } from "../../../runtime/spec-types.ts";
import { readUserFiles, resolveUser } from "../../../runtime/users.ts";
import type { Toolkit } from "../../toolkit.ts";
import { FrameReader } from "./frames.ts";
import type { StepNetwork } from "./sandbox.ts";

export interface Command {
  readonly args: readonly string[];
  /** "NAME=value". */
  readonly env: readonly string[];
  readonly workdir: string;
  readonly user: string;
}

/** What a build asks of all its steps' containers. */
export interface Limits {
  readonly resources: Resources;
  /** Bytes; 0: the daemon's default. */
  readonly shmSize: number;
  readonly securityOptions: readonly string[];
}

export interface LaunchRequest {
  readonly id: string;
  readonly rootfs: string;
  readonly command: Command;
  readonly limits: Limits;
  /** RUN --security=insecure. */
  readonly privileged: boolean;
  readonly network: StepNetwork;
  readonly mounts: readonly ContainerMount[];
  readonly terminal?: boolean | undefined;
  readonly size?: readonly [rows: number, columns: number] | undefined;
  readonly stdin?: boolean | undefined;
}

/** Starts the step's process, isolated as a container's. Nothing of its output is read before `proceed`. */
export function launch(tools: Toolkit, request: LaunchRequest): Promise<Task> {
  const { id, terminal = false, size, stdin = false } = request;
  return tools.runtime.start({
    id,
    bundle: tools.store.paths.bundle(id),
    spec: specOf(tools, request),
    terminal,
    size,
    stdin,
    stdinOnce: true,
    log: { driver: "none" },
    hold: true,
  });
}

function specOf(tools: Toolkit, request: LaunchRequest): Spec {
  const { settings, host, cgroups, logger } = tools;
  const { id, command, network, rootfs, limits } = request;
  const { netns } = network.sandbox;
  const mounts = [...network.mounts, ...request.mounts];
  const hostConfig = hostConfigOf(tools, request);
  const { defaultUlimits: ulimits, seccompProfile } = settings;
  return buildSpec({
    config: configOf(request),
    hostConfig,
    hostname: network.hostname,
    rootfs,
    user: resolveUser(command.user, readUserFiles(rootfs)),
    mounts,
    namespaces: {
      network: netns === undefined ? "host" : { path: netns },
      pid: "new",
      ipc: "new",
      uts: "new",
      cgroup: hostConfig.CgroupnsMode === "host" ? "host" : "new",
    },
    shm: { size: hostConfig.ShmSize ?? 0 },
    ownNetwork: netns !== undefined && !network.joined,
    cgroup: cgroupPath(limits.resources.CgroupParent || settings.cgroupParent, id),
    resourceSupport: cgroups.features,
    defaults: { ulimits, noNewPrivileges: false, seccompProfile, init: false, initPath: undefined },
    host,
    warn: (message) => logger.log("debug", message, { step: id }),
  });
}

function configOf({ network, command, terminal }: LaunchRequest) {
  return {
    Cmd: [...command.args],
    Env: [...command.env],
    WorkingDir: command.workdir,
    User: command.user,
    Hostname: network.hostname,
    Tty: terminal === true,
  };
}

function hostConfigOf({ settings, cgroups, runtime }: Toolkit, { limits, privileged }: LaunchRequest): HostConfig {
  const { resources, shmSize, securityOptions } = limits;
  return fillHostConfig(
    { ...resources, Privileged: privileged, SecurityOpt: [...securityOptions], ShmSize: shmSize },
    {
      shmSize: settings.defaultShmSize,
      ipcMode: "private",
      cgroupnsMode: settings.defaultCgroupnsMode,
      cgroupVersion: cgroups.version,
      runtime: runtime.runtimes[0]?.name ?? "",
    },
  );
}

/**
 * Lets the process go, passes its output on, and waits for its end; the signal kills it. Every process of the step is gone afterwards (they
 * are in its pid namespace); the runtime's state is when `task.released` resolves.
 */
export async function follow(
  task: Task,
  signal: AbortSignal,
  log: (stream: 1 | 2, data: Buffer) => void,
): Promise<ExitRecord> {
  const kill = () => void task.killAll(9).catch(() => task.kill(9).catch(() => {}));
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  try {
    const stream = await task.attach({ pending: false });
    task.proceed();
    const reader = new FrameReader(log);
    for await (const chunk of stream.output) reader.push(chunk as Buffer);
    return await task.exited;
  } catch (error) {
    kill();
    await task.released;
    throw error;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
