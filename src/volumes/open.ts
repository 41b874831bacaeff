import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import type { Volume, VolumeCreateOptions } from "../api/types/volume.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import { timestamp } from "../base/time.ts";
import type { Events } from "../events/events.ts";
import { isMountPoint, mount, unmountIfMounted } from "../kernel/mounts.ts";
import { treeUsage } from "../kernel/trees.ts";
import type { Store } from "../store/store.ts";
import { VolumeCopies } from "./copies.ts";
import { copyTree } from "./mirror.ts";
import { checkVolumeName } from "./names.ts";
import { checkOptions, mountOf, needsMount } from "./options.ts";
import { VolumePlaces } from "./places.ts";
import { type VolumeRecord, VolumeRecords, wireOf } from "./records.ts";
import type { CopyOptions, Still, Volumes } from "./volumes.ts";

const ANONYMOUS = "com.docker.volume.anonymous";

export function openVolumes({
  store,
  events,
  logger,
}: {
  readonly store: Store;
  readonly events: Events;
  readonly logger: Logger;
}): Volumes {
  return new LocalVolumes(store, events, logger);
}

/** The data of a volume is `<volume>/_data`; a volume with a device is mounted there while someone uses it. */
class LocalVolumes implements Volumes {
  readonly #records: VolumeRecords;
  readonly #places: VolumePlaces;
  readonly #events: Events;
  readonly #logger: Logger;
  readonly #locks = new KeyedLock();
  /** Volume to those who acquired it. */
  readonly #users = new Map<string, Set<string>>();
  readonly #copies: VolumeCopies;

  constructor(store: Store, events: Events, logger: Logger) {
    this.#records = new VolumeRecords(store);
    this.#places = new VolumePlaces(store.paths);
    this.#events = events;
    this.#logger = logger;
    this.#copies = new VolumeCopies({
      volumes: this,
      records: this.#records,
      places: this.#places,
      locks: this.#locks,
      events,
      isUsed: (name) => this.#users.has(name),
    });
  }

  async create({ Name = "", Driver, DriverOpts, Labels }: VolumeCreateOptions): Promise<Volume> {
    const name = Name || newId();
    checkVolumeName(name);
    if ((Driver || "local") !== "local")
      throw new EngineError("not-found", `error looking up volume plugin ${Driver}: plugin "${Driver}" not found`);
    const options = DriverOpts ?? {};
    checkOptions(options);
    const labels = { ...Labels, ...(Name === "" ? { [ANONYMOUS]: "" } : {}) };
    return this.#locks.run(name, () => {
      const existing = this.#records.find(name);
      if (existing !== undefined) return this.#reuse(existing, DriverOpts);
      const record = { name, driver: "local", options, labels, createdAt: timestamp().replace(/\.\d+/, "") };
      this.#make(record);
      this.#events.publish({ type: "volume", action: "create", id: name, attributes: { driver: "local" } });
      return wireOf(record, this.#places.data(name));
    });
  }

  inspect(name: string): Volume {
    return wireOf(this.#get(name), this.#places.data(name));
  }

  list(): Volume[] {
    return this.#records.all().map((record) => wireOf(record, this.#places.data(record.name)));
  }

  async remove(
    name: string,
    { force, inUseBy }: { readonly force: boolean; readonly inUseBy: readonly string[] },
  ): Promise<void> {
    await this.#locks.run(name, async () => {
      const record = this.#records.find(name);
      if (record === undefined) {
        if (force) return;
        throw notFound(name);
      }
      const users = new Set([...inUseBy, ...(this.#users.get(name) ?? [])]);
      if (users.size > 0)
        throw new EngineError("conflict", `remove ${name}: volume is in use - [${[...users].join(", ")}]`);
      this.#records.mark(name, "removing");
      await this.#erase(name);
      this.#events.publish({ type: "volume", action: "destroy", id: name, attributes: { driver: record.driver } });
    });
  }

  async acquire(name: string, user: string): Promise<string> {
    return this.#locks.run(name, () => {
      const record = this.#get(name);
      const users = this.#users.get(name) ?? new Set();
      const data = this.#places.data(name);
      if (users.size === 0 && isMounted(record)) this.#mount(record);
      mkdirSync(data, { recursive: true, mode: 0o755 });
      this.#users.set(name, users.add(user));
      return data;
    });
  }

  async release(name: string, user: string): Promise<void> {
    await this.#locks.run(name, () => {
      const users = this.#users.get(name);
      if (users === undefined || !users.delete(user) || users.size > 0) return;
      this.#users.delete(name);
      const record = this.#records.find(name);
      if (record !== undefined && isMounted(record)) unmountIfMounted(this.#places.data(name), { detach: true });
    });
  }

  async copyUp(name: string, from: string): Promise<void> {
    await this.#locks.run(name, async () => {
      const record = this.#get(name);
      const data = this.#places.data(name);
      if (!statSync(from, { throwIfNoEntry: false })?.isDirectory() || readdirSync(data).length > 0) return;
      if (record.snapshotOf !== undefined) return;
      // In place where others have the folder already.
      if (needsMount(record.options) || (this.#users.get(name)?.size ?? 0) > 1) return copyTree(from, data);
      // Beside it first: after a kill the volume is still empty, not half full.
      await copyTree(from, await this.#places.fresh(name));
      await this.#places.adopt(name);
    });
  }

  copy(name: string, options: CopyOptions): Promise<Volume> {
    return this.#copies.copy(name, options);
  }

  restoreFrom(name: string, from: string, signal?: AbortSignal): Promise<void> {
    return this.#copies.restoreFrom(name, from, signal);
  }

  export(name: string, still: Still | undefined): Promise<Readable> {
    return this.#copies.export(name, still);
  }

  import(options: VolumeCreateOptions, tar: Readable, signal?: AbortSignal): Promise<Volume> {
    return this.#copies.import(options, tar, signal);
  }

  async usage(name: string): Promise<number> {
    const record = this.#get(name);
    if (needsMount(record.options) && !this.#users.has(name)) return 0;
    return (await treeUsage(this.#places.data(name))).allocated;
  }

  async restore(users: ReadonlyMap<string, readonly string[]>): Promise<void> {
    for (const name of this.#records.unfinished()) await this.#erase(name);
    const records = this.#records.all();
    const known = new Set(records.map(({ name }) => name));
    for (const name of this.#places.names()) if (!known.has(name)) await this.#erase(name);
    for (const record of records) {
      await this.#places.repair(record.name);
      const using = users.get(record.name) ?? [];
      if (using.length > 0) this.#users.set(record.name, new Set(using));
      if (!isMounted(record)) continue;
      const mounted = isMountPoint(this.#places.data(record.name));
      if (mounted && using.length === 0) unmountIfMounted(this.#places.data(record.name), { detach: true });
      if (!mounted && using.length > 0) this.#remount(record);
    }
  }

  #remount(record: VolumeRecord): void {
    try {
      this.#mount(record);
    } catch (error) {
      this.#logger.log("warn", "a volume could not be mounted again", {
        name: record.name,
        error: errorMessage(error),
      });
    }
  }

  #get(name: string): VolumeRecord {
    const record = this.#records.find(name);
    if (record === undefined) throw notFound(name);
    return record;
  }

  #reuse(existing: VolumeRecord, options: Readonly<Record<string, string>> | undefined): Volume {
    const { name } = existing;
    if (options !== undefined && Object.keys(options).length > 0 && !sameOptions(existing.options, options))
      throw new EngineError("conflict", `create ${name}: conflict: volume "${name}" exists with different options`);
    return wireOf(existing, this.#places.data(name));
  }

  #make(record: VolumeRecord): void {
    this.#records.begin(record);
    try {
      this.#places.make(record.name);
      // An anonymous volume lives and dies with its container, whose own row is synced.
      this.#records.mark(record.name, "ready", { durable: !(ANONYMOUS in record.labels) });
    } catch (error) {
      this.#records.delete(record.name);
      rmSync(dirname(this.#places.data(record.name)), { recursive: true, force: true });
      throw error;
    }
  }

  async #erase(name: string): Promise<void> {
    await this.#places.erase(name);
    this.#records.delete(name);
  }

  #mount({ name, options, snapshotOf }: VolumeRecord): void {
    const data = this.#places.data(name);
    mkdirSync(data, { recursive: true, mode: 0o755 });
    if (isMountPoint(data)) return;
    if (snapshotOf !== undefined) {
      protect(data);
      return;
    }
    const request = mountOf(options, data);
    try {
      mount(request);
    } catch (error) {
      throw new EngineError(
        "internal",
        `failed to mount local volume: mount ${request.source}:${data}, flags: ${(request.flags ?? []).join("|")}, data: ${request.data}: ${reasonOf(error)}`,
        { cause: error, hint: existsSync(request.source ?? "") ? undefined : `check that ${request.source} is there` },
      );
    }
  }
}

/** What is a mount while it is used: a device, and a snapshot, which nobody may write to. */
function isMounted({ options, snapshotOf }: VolumeRecord): boolean {
  return needsMount(options) || snapshotOf !== undefined;
}

function protect(folder: string): void {
  mount({ source: folder, target: folder, flags: ["bind"] });
  mount({ target: folder, flags: ["remount", "bind", "ro"] });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENODEV: "no such device",
  EINVAL: "invalid argument",
  EPERM: "operation not permitted",
  ENOTBLK: "block device required",
};

function reasonOf(error: unknown): string {
  return REASONS[(error as { code?: string }).code ?? ""] ?? errorMessage(error);
}

function notFound(name: string): EngineError {
  return new EngineError("not-found", `get ${name}: no such volume`);
}

function sameOptions(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const text = (options: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(options).sort());
  return text(a) === text(b);
}
