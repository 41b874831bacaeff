import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { EngineError } from "../base/errors.ts";
import { writeFileAtomic } from "../base/files.ts";
import { silentLogger } from "../base/log.ts";
import { openContexts } from "../builder/context/open.ts";
import { openBuilder } from "../builder/open.ts";
import { openContainers } from "../containers/open.ts";
import { openContent } from "../content/open.ts";
import { openEvents } from "../events/open.ts";
import { openImages } from "../images/open.ts";
import { openCgroups } from "../kernel/cgroups.ts";
import { lockFile } from "../kernel/locks.ts";
import { openLogs } from "../logs/open.ts";
import { openNetworks } from "../networks/open.ts";
import { openPlugins, pluginFolders } from "../plugins/open.ts";
import { openRemote } from "../remote/open.ts";
import { readHostWithProfile } from "../runtime/apparmor.ts";
import { openRuntime } from "../runtime/open.ts";
import { openSnapshots } from "../snapshots/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths, type Paths } from "../store/paths.ts";
import { openVolumes } from "../volumes/open.ts";
import { diskUsage } from "./disk-usage.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { systemInfo } from "./info.ts";
import { pruneNetworks, pruneVolumes } from "./prune.ts";
import { completeSettings } from "./settings.ts";
import { systemVersion } from "./version.ts";
import { pullVolume, pushVolume } from "./volume-artifacts.ts";
import { copyVolume, exportVolume } from "./volume-copies.ts";

export const DATA_ROOT = "/var/lib/gantry";
const EXEC_ROOT = "/run/gantry";

/**
 * Opens the engine of a data root. Post-condition: what an earlier engine left is reconciled: running containers are known
 * again, what is unknown is removed, restart policies are applied. "conflict" when another process has this data root.
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  const paths = makePaths(options.dataRoot ?? DATA_ROOT, options.execRoot ?? EXEC_ROOT);
  const closers = new AsyncDisposableStack();
  try {
    const engine = await compose(paths, options, closers);
    const owned = closers.move();
    return Object.freeze({ ...engine, [Symbol.asyncDispose]: () => owned.disposeAsync() });
  } catch (error) {
    await closers.disposeAsync();
    throw error;
  }
}

/** The one place where the modules meet. What is opened is closed in reverse order by `closers`. */
async function compose(
  paths: Paths,
  { logger = silentLogger, settings: given }: EngineOptions,
  closers: AsyncDisposableStack,
): Promise<Omit<Engine, typeof Symbol.asyncDispose>> {
  const settings = completeSettings(given);
  const host = await readHostWithProfile(logger);
  const cgroups = openCgroups();
  closers.defer(lockRoot(paths).release);
  const store = closers.adopt(openStore(paths), (opened) => opened.close());
  const events = closers.adopt(openEvents(paths.eventsJournal), (opened) => opened.close());
  const plugins = openPlugins(pluginFolders(settings.pluginFolders));
  const [runtime, snapshots, networks] = await Promise.all([
    openRuntime({ paths, settings, logger, cgroups }),
    openSnapshots({ store, driver: settings.storageDriver, logger }),
    openNetworks({
      store,
      settings: settings.network,
      hostGatewayIps: settings.hostGatewayIps,
      events,
      logger,
      plugins,
    }),
  ]);
  closers.defer(() => networks.dispose());
  const content = openContent(store);
  const volumes = openVolumes({ store, events, logger, plugins });
  const logs = openLogs({ logger });
  closers.defer(() => logs.close());
  const remote = openRemote({ settings: settings.remote, logger });
  closers.defer(() => remote.close());
  const images = openImages({
    store,
    content,
    snapshots,
    events,
    remote,
    logger,
    uses: () => containers.imageUses(),
    keeps: (digest) => build.keeps(digest),
  });
  closers.defer(() => images.suspend());
  const containers = openContainers({
    store,
    images,
    snapshots,
    networks,
    volumes,
    logs,
    runtime,
    events,
    settings,
    logger,
    host,
  });
  closers.defer(() => containers.dispose());
  const buildContexts = openContexts({ store });
  const build = openBuilder({
    store,
    content,
    snapshots,
    images,
    remote,
    events,
    networks,
    joinNetwork: (container) => containers.joinNetwork(container),
    runtime,
    cgroups,
    host,
    settings,
    logger,
    contexts: buildContexts,
  });
  closers.defer(() => build.builder.close());
  await images.repair();
  await containers.restore();
  // What a load that was killed left, and layers whose last user has gone.
  await images.collect();

  const volumeUsers = () => containers.volumeUsers();
  const sources = { containers, images, volumes, networks, events, builder: build.builder, volumeUsers };
  const artifacts = { paths, remote, volumes, exportVolume: (name: string) => exportVolume(sources, name) };
  const id = engineId(paths);
  return {
    containers,
    images,
    networks,
    volumes,
    builder: build.builder,
    buildContexts,
    events,
    remote,
    plugins,
    system: {
      info: () =>
        systemInfo({ ...sources, id, dataRoot: paths.dataRoot, host, cgroups, settings, snapshots, runtime, remote }),
      configureRuntimes: (changed) => runtime.configure(changed),
      version: () => systemVersion(host, runtime.runtimes, settings.experimental),
      diskUsage: (types) => diskUsage({ ...sources, snapshots, paths, remote }, types),
    },
    pruneVolumes: (filters) => pruneVolumes(sources, filters),
    pruneNetworks: (filters) => pruneNetworks(sources, filters),
    copyVolume: (name, options) => copyVolume(sources, name, options),
    exportVolume: (name) => exportVolume(sources, name),
    pushVolume: (name, reference, options) => pushVolume(artifacts, name, reference, options),
    pullVolume: (reference, name, options) => pullVolume(artifacts, reference, name, options),
    removeVolume: (name, force) => volumes.remove(name, { force, inUseBy: volumeUsers().get(name) ?? [] }),
  };
}

function lockRoot(paths: Paths): { release(): void } {
  mkdirSync(paths.dataRoot, { recursive: true, mode: 0o711 });
  const lock = lockFile(paths.lock);
  if (lock !== undefined) return lock;
  throw new EngineError("conflict", `the data root ${paths.dataRoot} is in use by another engine`, {
    hint: "stop that one, or choose another folder with --data-root and --exec-root",
  });
}

/** The same for the life of a data root. */
function engineId(paths: Paths): string {
  if (!existsSync(paths.engineId)) writeFileAtomic(paths.engineId, randomUUID());
  return readFileSync(paths.engineId, "utf8").trim();
}
