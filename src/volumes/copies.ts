/** What volumes hold, copied: snapshots, clones, restores, and tars out and in. */
import { closeSync, openSync, readdirSync } from "node:fs";
import { Readable } from "node:stream";
import type { Volume, VolumeCreateOptions } from "../api/types/volume.ts";
import { decompress } from "../base/decompress.ts";
import { explainDiskFull } from "../base/disk-full.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import type { KeyedLock } from "../base/locks.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { timestamp } from "../base/time.ts";
import type { Events } from "../events/events.ts";
import { archiveContent } from "../kernel/archive-tree.ts";
import { extractTar } from "../kernel/extract-tree.ts";
import { removeTree, syncFileSystem } from "../kernel/trees.ts";
import { MirrorJob } from "./mirror-job.ts";
import { ANONYMOUS, checkVolumeName } from "./names.ts";
import { needsMount } from "./options.ts";
import type { VolumePlaces } from "./places.ts";
import { isLocal, type VolumeRecord, type VolumeRecords, wireOf } from "./records.ts";
import type { CopyOptions, Still, Volumes } from "./volumes.ts";

export interface CopyParts {
  readonly volumes: Pick<Volumes, "acquire" | "release">;
  readonly records: VolumeRecords;
  readonly places: VolumePlaces;
  readonly locks: KeyedLock;
  readonly events: Events;
  /** Whether someone has acquired it. */
  readonly isUsed: (name: string) => boolean;
  /** Takes away what is left of a volume of this name whose making or removal was cut short. */
  readonly clearUnfinished: (name: string) => Promise<void>;
}

export class VolumeCopies {
  readonly #parts: CopyParts;

  constructor(parts: CopyParts) {
    this.#parts = parts;
  }

  async copy(name: string, { name: to, snapshot, labels = {}, still, signal }: CopyOptions): Promise<Volume> {
    checkVolumeName(to);
    const { locks, records, places, events, clearUnfinished } = this.#parts;
    return this.#using(name, (data) =>
      locks.run(to, async () => {
        if (records.find(to) !== undefined)
          throw new EngineError("conflict", `there is a volume ${to} already`, { hint: "choose another name" });
        await clearUnfinished(to);
        const record = { ...newRecord(to, labels), snapshotOf: snapshot ? name : undefined };
        records.begin(record);
        try {
          await mirror(data, await places.fresh(to), still, signal);
          await this.#settle(to);
        } catch (error) {
          await places.erase(to);
          records.delete(to);
          throw explainDiskFull(error, `the volume ${name} could not be copied`);
        }
        events.publish({ type: "volume", action: "create", id: to, attributes: { driver: "local" } });
        return wireOf(record, places.data(to));
      }),
    );
  }

  async restoreFrom(name: string, from: string, signal?: AbortSignal): Promise<void> {
    const { locks, places, isUsed } = this.#parts;
    if (name === from) throw new EngineError("invalid", "a volume cannot be restored from itself");
    await this.#using(from, (data) =>
      locks.run(name, async () => {
        const record = this.#get(name);
        if (record.snapshotOf !== undefined)
          throw new EngineError(
            "conflict",
            `the volume ${name} is a snapshot of ${record.snapshotOf}: it stays as it is`,
          );
        if (!isLocal(record) || needsMount(record.options))
          throw new EngineError(
            "invalid",
            `the volume ${name} lies on a device: only what Gantry stores itself can be put back`,
          );
        if (isUsed(name))
          throw new EngineError("conflict", `the volume ${name} is in use`, {
            hint: "stop the containers that use it",
          });
        try {
          await mirror(data, await places.fresh(name), undefined, signal);
          await syncFileSystem(places.data(name));
          await places.adopt(name);
        } catch (error) {
          await places.repair(name);
          throw explainDiskFull(error, `the volume ${name} could not be restored`);
        }
      }),
    );
  }

  async export(name: string, still: Still | undefined): Promise<Readable> {
    const { volumes, places } = this.#parts;
    const user = `export-${newId()}`;
    const data = await volumes.acquire(name, user);
    let moment: string | undefined;
    const leave = async () => {
      if (moment !== undefined) await removeTree(moment);
      await volumes.release(name, user);
    };
    try {
      if (still !== undefined) {
        moment = places.moment(name, newId().slice(0, 12));
        await mirror(data, moment, still, undefined);
      }
      return tarOf(moment ?? data, leave);
    } catch (error) {
      await leave();
      throw explainDiskFull(error, `the volume ${name} could not be exported`);
    }
  }

  async import(options: VolumeCreateOptions, tar: Readable, signal?: AbortSignal): Promise<Volume> {
    const { locks, places, records } = this.#parts;
    const name = options.Name || newId();
    checkVolumeName(name);
    const labels = { ...options.Labels, ...(options.Name ? {} : { [ANONYMOUS]: "" }) };
    return locks.run(name, async () => {
      try {
        const existing = records.find(name);
        if (existing !== undefined) await this.#fill(existing, tar, signal);
        else await this.#importNew(newRecord(name, labels), tar, signal);
      } catch (error) {
        throw explainDiskFull(error, `the volume ${name} could not be imported`);
      }
      return wireOf(this.#get(name), places.data(name));
    });
  }

  async #importNew(record: VolumeRecord, tar: Readable, signal: AbortSignal | undefined): Promise<void> {
    const { places, records, events, clearUnfinished } = this.#parts;
    const { name } = record;
    await clearUnfinished(name);
    records.begin(record);
    try {
      await unpack(tar, await places.fresh(name), signal);
      await this.#settle(name);
    } catch (error) {
      await places.erase(name);
      records.delete(name);
      throw error;
    }
    events.publish({ type: "volume", action: "create", id: name, attributes: { driver: "local" } });
  }

  async #fill(record: VolumeRecord, tar: Readable, signal: AbortSignal | undefined): Promise<void> {
    const { places, isUsed } = this.#parts;
    const { name } = record;
    if (!isLocal(record) || needsMount(record.options))
      throw new EngineError("invalid", `the volume ${name} lies on a device`);
    if (isUsed(name)) throw new EngineError("conflict", `the volume ${name} is in use`);
    if (readdirSync(places.data(name)).length > 0)
      throw new EngineError("conflict", `the volume ${name} is not empty`, { hint: "import into a new volume" });
    try {
      await unpack(tar, await places.fresh(name), signal);
      await syncFileSystem(places.data(name));
      await places.adopt(name);
    } catch (error) {
      await places.repair(name);
      throw error;
    }
  }

  /** Nobody removes or restores the volume meanwhile. */
  async #using<T>(name: string, work: (data: string) => Promise<T>): Promise<T> {
    const { volumes } = this.#parts;
    const user = `copy-${newId()}`;
    const data = await volumes.acquire(name, user);
    try {
      return await work(data);
    } finally {
      await volumes.release(name, user);
    }
  }

  /** Content before the name that it gets, and both before the row that says it is there. */
  async #settle(name: string): Promise<void> {
    const { records, places } = this.#parts;
    await syncFileSystem(places.folder(name));
    places.settle(name);
    await syncFileSystem(places.folder(name));
    records.mark(name, "ready", { durable: true });
  }

  #get(name: string): VolumeRecord {
    const record = this.#parts.records.find(name);
    if (record === undefined) throw new EngineError("not-found", `get ${name}: no such volume`);
    return record;
  }
}

function newRecord(name: string, labels: Readonly<Record<string, string>>): VolumeRecord {
  return { name, driver: "local", options: {}, labels, createdAt: timestamp().replace(/\.\d+/, "") };
}

/** The first pass while others write, the last while they stand still. */
async function mirror(
  from: string,
  to: string,
  still: Still | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  await using job = new MirrorJob(from, to);
  const cancelled = new Promise<never>((_, reject) => {
    signal?.addEventListener("abort", () => reject(new EngineError("cancelled", "cancelled")), { once: true });
  });
  await Promise.race([job.pass(), cancelled]);
  await still?.(() => job.pass());
}

/** `leave` is called once, when the tar was read or is left. */
function tarOf(folder: string, leave: () => Promise<void>): Readable {
  const writer = new TarWriter();
  const fd = openSync(folder, "r");
  void archiveContent(fd, "/", writer)
    .then(() => writer.finish())
    .catch((error) => writer.destroy(error as Error))
    .finally(() => closeSync(fd));
  writer.stream.once("close", () => void leave().catch(() => {}));
  return writer.stream;
}

async function unpack(tar: Readable, folder: string, signal: AbortSignal | undefined): Promise<void> {
  const fd = openSync(folder, "r");
  const plain = Readable.from(decompress(tar), { objectMode: false });
  const stop = () => plain.destroy(new EngineError("cancelled", "cancelled"));
  signal?.addEventListener("abort", stop, { once: true });
  try {
    signal?.throwIfAborted();
    await extractTar(fd, plain, { noOverwriteDirNonDir: false });
  } finally {
    signal?.removeEventListener("abort", stop);
    plain.destroy();
    closeSync(fd);
  }
}
