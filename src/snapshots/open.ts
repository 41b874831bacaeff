import { mkdirSync, readdirSync } from "node:fs";
import { EngineError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/log.ts";
import { readHost } from "../kernel/host.ts";
import { mountTable, unmountIfMounted } from "../kernel/mounts.ts";
import { spreadFolders } from "../kernel/nodes.ts";
import type { Paths } from "../store/paths.ts";
import type { Store } from "../store/store.ts";
import { Catalog, type DriverKind, storedDriver } from "./catalog.ts";
import { copyDriver } from "./copy.ts";
import type { Driver } from "./driver.ts";
import { EngineSnapshots } from "./engine-snapshots.ts";
import { newFolderName } from "./layer-maker.ts";
import { overlayDriver, overlayUnusable } from "./overlay.ts";
import { Remover } from "./remove-tree.ts";
import type { Snapshots } from "./snapshots.ts";

export interface SnapshotsOptions {
  readonly store: Store;
  /** Default: the one that wrote what is stored; else overlay where it works, copy where it does not. */
  readonly driver?: DriverKind | undefined;
  readonly logger?: Logger | undefined;
  /** The machine's boot; default the one that this is. */
  readonly boot?: string | undefined;
}

/** Opens the snapshots of a data root, and removes what a killed gantryd left half-done. "conflict" when another driver wrote what is there. */
export async function openSnapshots({
  store,
  driver,
  logger = silentLogger,
  boot = readHost().bootId,
}: SnapshotsOptions): Promise<Snapshots> {
  const { paths } = store;
  mkdirSync(paths.snapshots, { recursive: true, mode: 0o711 });
  spreadFolders(paths.snapshots);
  const chosen = chooseDriver(store, driver, logger);
  const catalog = new Catalog(store, chosen.kind, boot);
  const remover = new Remover(logger);
  dropDamaged(catalog, logger);
  removeUnknown(paths, catalog, remover);
  return new EngineSnapshots({ paths, catalog, remover, logger, driver: chosen });
}

function chooseDriver(store: Store, wanted: DriverKind | undefined, logger: Logger): Driver {
  const stored = storedDriver(store);
  if (stored !== undefined && wanted !== undefined && stored !== wanted) {
    throw new EngineError("conflict", `the data root was written by the storage driver ${stored}, not ${wanted}`, {
      hint: "use that driver, or another data root",
    });
  }
  const kind = wanted ?? stored;
  if (kind !== undefined) return kind === "copy" ? copyDriver : overlayDriver;
  const reason = overlayUnusable(store.paths.snapshot(`probe-${newFolderName()}`));
  if (reason === undefined) return overlayDriver;
  logger.log("warn", "overlay does not work here: trees are copied", { reason });
  return copyDriver;
}

/** Those that nothing lies on, topmost first: they are unpacked again when somebody wants them. */
function dropDamaged(catalog: Catalog, logger: Logger): void {
  const damaged = catalog.damaged();
  if (damaged.length === 0) return;
  logger.log("warn", "the machine went down soon after layers were made: they are made again", {
    layers: damaged.length,
  });
  let dropped: number;
  do {
    dropped = 0;
    for (const chainId of catalog.damaged())
      if (!catalog.isUsed(chainId)) {
        catalog.removeLayer(chainId);
        dropped++;
      }
  } while (dropped > 0);
}

/** What no row names was being made or being removed when the last gantryd ended. */
function removeUnknown(paths: Paths, catalog: Catalog, remover: Remover): void {
  const known = catalog.folders();
  const unknown = readdirSync(paths.snapshots).filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  const folders = unknown.map((name) => paths.snapshot(name));
  for (const { target } of mountTable().reverse()) {
    if (folders.some((folder) => target === folder || target.startsWith(`${folder}/`)))
      unmountIfMounted(target, { detach: true });
  }
  for (const folder of folders) remover.remove(folder);
}
