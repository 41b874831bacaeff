import { readdirSync, statSync } from "node:fs";
import type { Readable } from "node:stream";
import type { Volume, VolumeCreateOptions } from "../api/types/volume.ts";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import type { Events } from "../events/events.ts";
import { isEmptyFar } from "../kernel/far-mounts.ts";
import type { Plugins } from "../plugins/plugins.ts";
import type { Store } from "../store/store.ts";
import { VolumeCopies } from "./copies.ts";
import type { VolumeDriver } from "./driver.ts";
import { LocalDriver } from "./local-driver.ts";
import { copyTree } from "./mirror.ts";
import { MirrorJob } from "./mirror-job.ts";
import { ANONYMOUS, checkVolumeName, isVolumeName } from "./names.ts";
import { isFar, isServed, needsMount } from "./options.ts";
import { VolumePlaces } from "./places.ts";
import { PluginDriver } from "./plugin-driver.ts";
import { findPluginVolume, listPluginVolumes, wireOfPlugin, withPluginVolumes } from "./plugin-volumes.ts";
import { isLocal, type UnfinishedRecord, type VolumeRecord, VolumeRecords, wireOf } from "./records.ts";
import type { CopyOptions, Still, VolumeList, Volumes } from "./volumes.ts";

export interface VolumesOptions {
  readonly store: Store;
  readonly events: Events;
  readonly logger: Logger;
  readonly plugins: Plugins;
  /** How long the server of a volume may take to answer when it is mounted; default 60 s. */
  readonly mountMs?: number | undefined;
}

export function openVolumes(options: VolumesOptions): Volumes {
  return new DrivenVolumes(options);
}

/** Names, rows and users of volumes; what is done to their data is their driver's. */
class DrivenVolumes implements Volumes {
  readonly #records: VolumeRecords;
  readonly #places: VolumePlaces;
  readonly #events: Events;
  readonly #logger: Logger;
  readonly #plugins: Plugins;
  readonly #drivers: Map<string, VolumeDriver>;
  readonly #locks = new KeyedLock();
  /** Volume to those who acquired it. */
  readonly #users = new Map<string, Set<string>>();
  readonly #copies: VolumeCopies;
  readonly #mountMs: number | undefined;

  constructor({ store, events, logger, plugins, mountMs }: VolumesOptions) {
    this.#records = new VolumeRecords(store);
    this.#places = new VolumePlaces(store.paths);
    this.#events = events;
    this.#logger = logger;
    this.#plugins = plugins;
    this.#mountMs = mountMs;
    this.#drivers = new Map([["local", new LocalDriver({ places: this.#places, logger, mountMs })]]);
    this.#copies = new VolumeCopies({
      volumes: this,
      records: this.#records,
      places: this.#places,
      locks: this.#locks,
      events,
      isUsed: (name) => this.#users.has(name),
      clearUnfinished: (name) => this.#clearUnfinished(name),
    });
  }

  async create({ Name = "", Driver, DriverOpts, Labels }: VolumeCreateOptions): Promise<Volume> {
    const name = Name || newId();
    checkVolumeName(name);
    const options = DriverOpts ?? {};
    const driver = this.#driver(Driver || (await this.#keeperOf(Name)) || "local");
    driver.check(options);
    const labels = { ...Labels, ...(Name === "" ? { [ANONYMOUS]: "" } : {}) };
    return this.#locks.run(name, async () => {
      const existing = this.#records.find(name);
      if (existing !== undefined) return this.#reuse(existing, Driver, DriverOpts);
      await this.#clearUnfinished(name);
      const record = { name, driver: driver.name, options, labels, createdAt: dateOf(new Date()) };
      await this.#make(record, driver);
      this.#events.publish({ type: "volume", action: "create", id: name, attributes: { driver: driver.name } });
      return this.#wire(record);
    });
  }

  inspect(name: string): Volume {
    return this.#wire(this.#get(name));
  }

  async describe(name: string): Promise<Volume> {
    const record = this.#records.find(name);
    if (record === undefined) {
      const theirs = await findPluginVolume(this.#plugins, name);
      if (theirs === undefined) throw notFound(name);
      return wireOfPlugin(theirs);
    }
    const { folder, scope, status } = await this.#driverOf(record).describe(record);
    return { ...wireOf(record, folder), Scope: scope, ...(status === undefined ? {} : { Status: { ...status } }) };
  }

  list(): Volume[] {
    return this.#records.all().map((record) => this.#wire(record));
  }

  async listAll(): Promise<VolumeList> {
    return withPluginVolumes(this.list(), await listPluginVolumes(this.#plugins));
  }

  async remove(
    name: string,
    { force, inUseBy }: { readonly force: boolean; readonly inUseBy: readonly string[] },
  ): Promise<void> {
    await this.#locks.run(name, async () => {
      const record = this.#records.find(name) ?? (await this.#adopt(name));
      if (record === undefined) {
        if (force) return;
        throw notFound(name);
      }
      const users = new Set([...inUseBy, ...(this.#users.get(name) ?? [])]);
      if (users.size > 0)
        throw new EngineError("conflict", `remove ${name}: volume is in use - [${[...users].join(", ")}]`);
      this.#records.mark(name, "removing");
      try {
        await this.#erase(record);
      } catch (error) {
        // A plug-in may refuse. What lies here is half gone then, and goes with the next start.
        if (!isLocal(record)) this.#records.mark(name, "ready");
        throw error;
      }
      this.#events.publish({ type: "volume", action: "destroy", id: name, attributes: { driver: record.driver } });
    });
  }

  async acquire(name: string, user: string): Promise<string> {
    return this.#locks.run(name, async () => {
      const record = this.#get(name);
      const users = this.#users.get(name) ?? new Set();
      const driver = this.#driverOf(record);
      const folder = users.has(user) && !isLocal(record) ? driver.folder(record) : await driver.mount(record, user);
      this.#users.set(name, users.add(user));
      return folder;
    });
  }

  async release(name: string, user: string): Promise<void> {
    await this.#locks.run(name, async () => {
      const users = this.#users.get(name);
      if (users === undefined || !users.delete(user)) return;
      if (users.size === 0) this.#users.delete(name);
      const record = this.#records.find(name);
      if (record !== undefined) await this.#driverOf(record).unmount(record, user, users.size === 0);
    });
  }

  async copyUp(name: string, from: string): Promise<void> {
    await this.#locks.run(name, async () => {
      const record = this.#get(name);
      const data = this.#driverOf(record).folder(record);
      if (record.snapshotOf !== undefined || !statSync(from, { throwIfNoEntry: false })?.isDirectory()) return;
      const far = !isLocal(record) || isFar(record.options);
      if (!(far ? await this.#isEmptyFar(name, data) : readdirSync(data).length === 0)) return;
      if (far) return copyAside(from, data);
      if (needsMount(record.options)) return copyTree(from, data);
      // Beside it first: after a kill the volume is still empty, or full, and never half full.
      await copyTree(from, await this.#places.fresh(name));
      await this.#places.pour(name);
    });
  }

  async #isEmptyFar(name: string, data: string): Promise<boolean> {
    try {
      return await isEmptyFar(data, { timeoutMs: this.#mountMs });
    } catch (cause) {
      throw new EngineError("internal", `the volume ${name} could not be read: ${errorMessage(cause)}`, {
        cause,
        hint: errnoOf(cause) === "ETIMEDOUT" ? "its server does not answer; the option nocopy goes without" : undefined,
      });
    }
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
    try {
      return await this.#driverOf(record).usage(record, this.#users.has(name));
    } catch (error) {
      // It is being removed while it is counted, or somebody took its folder away.
      if (errnoOf(error) === "ENOENT") return 0;
      throw error;
    }
  }

  async restore(users: ReadonlyMap<string, readonly string[]>): Promise<void> {
    for (const record of this.#records.unfinished()) await this.#finish(record);
    const records = this.#records.all();
    const known = new Set([...records, ...this.#records.unfinished()].map(({ name }) => name));
    for (const { name, since } of this.#places.found(known)) await this.#takeIn(name, since);
    for (const record of this.#records.all()) {
      const using = users.get(record.name) ?? [];
      if (using.length > 0) this.#users.set(record.name, new Set(using));
      const restored = this.#locks.run(record.name, () => this.#driverOf(record).restore(record, using));
      // The start does not wait for another machine; who acquires the volume does.
      if (isServed(record.options)) void restored.catch((error) => this.#failed("restored", record, error));
      else await restored;
    }
  }

  /** Data that no row tells of is somebody's: the database was lost, or a folder brought here. Without data it is what a power cut left. */
  async #takeIn(name: string, since: Date | undefined): Promise<void> {
    if (!isVolumeName(name)) return;
    if (since === undefined) return this.#places.erase(name);
    const labels: Record<string, string> = /^[0-9a-f]{64}$/.test(name) ? { [ANONYMOUS]: "" } : {};
    this.#records.begin({ name, driver: "local", options: {}, labels, createdAt: dateOf(since) });
    this.#records.mark(name, "ready", { durable: true });
    this.#logger.log("warn", "a volume was found that was not known", { name });
  }

  /** What a kill cut short is undone; where a plug-in must be asked, the start does not wait for it. */
  async #finish(record: UnfinishedRecord): Promise<void> {
    if (isLocal(record)) return this.#clear(record);
    void this.#locks
      .run(record.name, () => this.#clear(record))
      .catch((error) => this.#failed("removed", record, error));
  }

  #failed(done: string, { name }: { readonly name: string }, error: unknown): void {
    this.#logger.log("warn", `a volume could not be ${done}`, { name, error: errorMessage(error) });
  }

  /** The driver of a volume that nobody made here; undefined for one that there is here, or nowhere. */
  async #keeperOf(name: string): Promise<string | undefined> {
    if (name === "" || this.#records.find(name) !== undefined) return undefined;
    return (await findPluginVolume(this.#plugins, name))?.driver;
  }

  /** The row of a plug-in's volume that nobody made here. */
  async #adopt(name: string): Promise<VolumeRecord | undefined> {
    const driver = await this.#keeperOf(name);
    if (driver === undefined) return undefined;
    await this.#clearUnfinished(name);
    const record = { name, driver, options: {}, labels: {}, createdAt: dateOf(new Date()) };
    this.#records.begin(record);
    this.#records.mark(name, "ready");
    return record;
  }

  #driver(name: string): VolumeDriver {
    const known = this.#drivers.get(name);
    if (known !== undefined) return known;
    const driver = new PluginDriver(name, this.#plugins);
    this.#drivers.set(name, driver);
    return driver;
  }

  #driverOf(record: VolumeRecord): VolumeDriver {
    return this.#driver(record.driver);
  }

  #wire(record: VolumeRecord): Volume {
    return wireOf(record, this.#driverOf(record).folder(record));
  }

  #get(name: string): VolumeRecord {
    const record = this.#records.find(name);
    if (record === undefined) throw notFound(name);
    return record;
  }

  #reuse(
    existing: VolumeRecord,
    driver: string | undefined,
    options: Readonly<Record<string, string>> | undefined,
  ): Volume {
    const { name } = existing;
    if (driver && driver !== existing.driver)
      throw new EngineError("conflict", `create ${name}: conflict: volume name must be unique`, {
        hint: `there is a volume ${name} of the driver ${existing.driver}`,
      });
    if (options !== undefined && Object.keys(options).length > 0 && !sameOptions(existing.options, options))
      throw new EngineError("conflict", `create ${name}: conflict: volume "${name}" exists with different options`);
    return this.#wire(existing);
  }

  async #make(record: VolumeRecord, driver: VolumeDriver): Promise<void> {
    this.#records.begin(record);
    try {
      await driver.create(record);
      // An anonymous volume lives and dies with its container, whose own row is synced.
      this.#records.mark(record.name, "ready", { durable: !(ANONYMOUS in record.labels) });
    } catch (error) {
      await this.#places.erase(record.name);
      this.#records.delete(record.name);
      throw error;
    }
  }

  /** Its name is wanted again: a kill cut its removal short, or its plug-in would not hear of it. */
  async #clearUnfinished(name: string): Promise<void> {
    const unfinished = this.#records.unfinished().find((record) => record.name === name);
    if (unfinished !== undefined) await this.#clear(unfinished);
  }

  /** A plug-in's volume may have been there before: only one whose removal was asked for is removed. */
  async #clear(record: UnfinishedRecord): Promise<void> {
    if (isLocal(record) || record.state === "removing") return this.#erase(record);
    this.#records.delete(record.name);
  }

  async #erase(record: VolumeRecord): Promise<void> {
    await this.#driverOf(record).remove(record);
    this.#records.delete(record.name);
  }
}

/** In a thread of its own, which may wait for another machine. */
async function copyAside(from: string, to: string): Promise<void> {
  await using job = new MirrorJob(from, to);
  await job.pass();
}

/** To the second, as Docker's. */
function dateOf(time: Date): string {
  return time.toISOString().replace(/\.\d+/, "");
}

function notFound(name: string): EngineError {
  return new EngineError("not-found", `get ${name}: no such volume`);
}

function sameOptions(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const text = (options: Readonly<Record<string, string>>) => JSON.stringify(Object.entries(options).sort());
  return text(a) === text(b);
}
