import { KeyedLock } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import type { Events } from "../events/events.ts";
import type { Images, ImageUse } from "../images/images.ts";
import { type CgroupTree, openCgroups } from "../kernel/cgroups.ts";
import { type Host, readHost } from "../kernel/host.ts";
import type { Logs } from "../logs/logs.ts";
import type { Networks, Sandbox } from "../networks/networks.ts";
import type { ContainerMount } from "../runtime/container-mounts.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Store } from "../store/store.ts";
import type { Volumes } from "../volumes/volumes.ts";
import { copyFrom, copyTo, exportContainer, statInContainer } from "./archive.ts";
import { prepareAttach } from "./attach.ts";
import { commitContainer } from "./commit.ts";
import type { Containers } from "./containers.ts";
import type { ContainerSettings, Context } from "./context.ts";
import { createContainer } from "./create.ts";
import { createExec, inspectExec, resizeExec, startExec } from "./exec.ts";
import { Execs } from "./exec-registry.ts";
import { holdStill } from "./hold-still.ts";
import { inspectContainer } from "./inspect.ts";
import { removeLink } from "./link-names.ts";
import { listContainers } from "./list.ts";
import { connectContainer, disconnectContainer } from "./membership.ts";
import { joinNetwork } from "./network-setup.ts";
import { notify } from "./notify.ts";
import { pauseContainer, refuseNotRunning, unpauseContainer } from "./pause.ts";
import { readLogs } from "./read-logs.ts";
import { Registry } from "./registry.ts";
import { pruneContainers, removeContainer } from "./remove.ts";
import { restoreContainers } from "./restore.ts";
import { RootfsMounts } from "./rootfs-mounts.ts";
import { refuseRunning, startLocked } from "./start.ts";
import { isLive } from "./state.ts";
import { containerStats } from "./stats.ts";
import { killContainer, restartContainer, stopAll, stopContainer } from "./stop.ts";
import { containerTop } from "./top.ts";
import { renameContainer, updateContainer } from "./update.ts";
import { waitFor } from "./wait.ts";

export interface ContainersOptions {
  readonly store: Store;
  readonly images: Images;
  readonly snapshots: Snapshots;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly logs: Logs;
  readonly runtime: Runtime;
  readonly events: Events;
  readonly settings: ContainerSettings;
  readonly logger: Logger;
  /** Default: this machine's. */
  readonly cgroups?: CgroupTree | undefined;
  /** Default: as it is now. */
  readonly host?: Host | undefined;
}

/** The engine's own view of the containers, beside the contract. */
export interface OpenContainers extends Containers {
  /** Brings records and machine together; once, before anything else. */
  restore(): Promise<void>;
  imageUses(): ImageUse[];
  /** See hold-still.ts. Ids that no container has are passed over. */
  holdStill<T>(ids: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Volume → ids of the containers that refer to it, running or not. */
  volumeUsers(): ReadonlyMap<string, readonly string[]>;
  /**
   * The network of a running container, with its hostname and the mounts of the files that tell about it, for a process that has no record.
   * "not-found"; "conflict" when it does not run.
   */
  joinNetwork(name: string): {
    readonly sandbox: Sandbox;
    readonly hostname: string;
    readonly mounts: readonly ContainerMount[];
  };
  /** Lets go of everything; running containers go on. Idempotent. */
  dispose(): Promise<void>;
}

export function openContainers({
  store,
  cgroups = openCgroups(),
  host = readHost(),
  ...parts
}: ContainersOptions): OpenContainers {
  let closing = false;
  const registry = new Registry(store, parts.logger);
  const context: Context = {
    ...parts,
    store,
    paths: store.paths,
    cgroups,
    host,
    registry,
    locks: new KeyedLock(),
    rootfs: new RootfsMounts(parts.snapshots, store.paths),
    execs: new Execs(),
    background: new Set(),
    closing: () => closing,
  };
  const { runtime, locks, execs, background } = context;
  const get = (name: string) => registry.get(name);
  return {
    create(name, request, platform) {
      runtime.prepare();
      return createContainer(context, { name, request, platform });
    },
    async start(name) {
      const container = get(name);
      runtime.prepare();
      await locks.run(container.id, async () => {
        refuseRunning(container);
        container.restartDelay = 0;
        container.cancelRestart?.();
        await startLocked(context, container);
      });
    },
    stop: async (name, options) => stopContainer(context, get(name), options),
    stopAll: (options) => stopAll(context, options),
    restart: async (name, options) => restartContainer(context, get(name), options),
    kill: async (name, signal) => killContainer(context, get(name), signal),
    pause: async (name) => pauseContainer(context, get(name)),
    unpause: async (name) => unpauseContainer(context, get(name)),
    rename: async (name, to) => renameContainer(context, get(name), to),
    connect: async (name, network, settings) => connectContainer(context, get(name), { network, settings }),
    disconnect: async (name, network, { force }) => disconnectContainer(context, get(name), { network, force }),
    update: async (name, request) => updateContainer(context, get(name), request),
    remove: async (name, { link, ...options }) =>
      link ? removeLink(context, name) : removeContainer(context, get(name), options),
    prune: (filters) => pruneContainers(context, filters),
    async wait(name, condition, signal) {
      const result = waitFor(get(name), condition, signal);
      // Who asked may have gone before it looks at the result.
      result.catch(() => {});
      return { result };
    },

    list: (options) => listContainers(context, options),
    inspect: async (name, { size }) => inspectContainer(context, get(name), { size }),
    top: async (name, psArguments) => containerTop(context, get(name), psArguments),
    changes: async (name) => parts.snapshots.changes(get(name).id),
    stats: (name, options) => containerStats(context, get(name), options),
    logs: async (name, options) => readLogs(context, get(name), options),
    commit: async (name, options) => commitContainer(context, get(name), options),
    export: async (name) => exportContainer(context, get(name)),
    copyFrom: async (name, path) => copyFrom(context, get(name), path),
    statPath: async (name, path) => statInContainer(context, get(name), path),
    copyTo: async (name, path, tar, options) => copyTo(context, get(name), path, tar, options),

    attach: async (name, options) => prepareAttach(context, get(name), options),
    async resize(name, rows, columns) {
      const container = get(name);
      refuseNotRunning(container);
      // Without a terminal there is nothing to do, and nobody to tell.
      if (container.definition.config.Tty) await container.task?.resize(rows, columns);
      notify(context, container, "resize", { height: String(rows), width: String(columns) });
    },

    execCreate: async (name, request) => createExec(context, get(name), request),
    execStart: async (id, request) => startExec(context, id, request),
    execInspect: (id) => inspectExec(context, id),
    execResize: async (id, rows, columns) => resizeExec(context, id, rows, columns),

    restore: () => restoreContainers(context),
    imageUses: () =>
      registry.everything().map(({ id, imageId, state }) => ({ containerId: id, imageId, running: isLive(state) })),
    holdStill: (ids, work) =>
      holdStill(
        context,
        registry.everything().filter(({ id }) => ids.includes(id)),
        work,
      ),
    volumeUsers: () => registry.volumeUsers(),
    joinNetwork: (name) => joinNetwork(context, get(name)),
    async dispose() {
      closing = true;
      for (const container of registry.everything()) {
        container.stopHealth?.();
        container.cancelRestart?.();
        container.task?.release();
      }
      execs.dispose();
      registry.flush();
      await Promise.race([
        Promise.allSettled([...background]),
        new Promise((resolve) => setTimeout(resolve, 5000).unref()),
      ]);
    },
  };
}
