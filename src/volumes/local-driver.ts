/** Volumes in folders of the data root; one with a device is mounted over its folder while someone uses it. */
import { lookup } from "node:dns/promises";
import { existsSync, mkdirSync } from "node:fs";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { isMountPoint, type MountRequest, mount, unmountIfMounted } from "../kernel/mounts.ts";
import { treeUsage } from "../kernel/trees.ts";
import type { VolumeDriver } from "./driver.ts";
import { checkOptions, mountOf, needsMount, withAddress, withoutPassword } from "./options.ts";
import type { VolumePlaces } from "./places.ts";
import type { VolumeRecord } from "./records.ts";

export class LocalDriver implements VolumeDriver {
  readonly name = "local";
  readonly #places: VolumePlaces;
  readonly #logger: Logger;

  constructor(places: VolumePlaces, logger: Logger) {
    this.#places = places;
    this.#logger = logger;
  }

  check(options: Readonly<Record<string, string>>): void {
    checkOptions(options);
  }

  async create({ name }: VolumeRecord): Promise<void> {
    this.#places.make(name);
  }

  remove({ name }: VolumeRecord): Promise<void> {
    return this.#places.erase(name);
  }

  async mount(record: VolumeRecord, _user: string, first: boolean): Promise<string> {
    const data = this.folder(record);
    mkdirSync(data, { recursive: true, mode: 0o755 });
    if (first && isMounted(record)) await this.#mount(record);
    return data;
  }

  async unmount(record: VolumeRecord, _user: string, last: boolean): Promise<void> {
    if (last && isMounted(record)) unmountIfMounted(this.folder(record), { detach: true });
  }

  folder({ name }: VolumeRecord): string {
    return this.#places.data(name);
  }

  async describe(record: VolumeRecord) {
    const { snapshotOf } = record;
    const status = snapshotOf === undefined ? undefined : { SnapshotOf: snapshotOf };
    return { folder: this.folder(record), scope: "local", status };
  }

  async usage(record: VolumeRecord, used: boolean): Promise<number> {
    if (needsMount(record.options) && !used) return 0;
    return (await treeUsage(this.folder(record))).allocated;
  }

  async restore(record: VolumeRecord, users: readonly string[]): Promise<void> {
    await this.#places.repair(record.name);
    if (!isMounted(record)) return;
    const mounted = isMountPoint(this.folder(record));
    if (mounted && users.length === 0) unmountIfMounted(this.folder(record), { detach: true });
    if (mounted || users.length === 0) return;
    try {
      await this.#mount(record);
    } catch (error) {
      const { name } = record;
      this.#logger.log("warn", "a volume could not be mounted again", { name, error: errorMessage(error) });
    }
  }

  async #mount(record: VolumeRecord): Promise<void> {
    const data = this.folder(record);
    if (isMountPoint(data)) return;
    if (record.snapshotOf !== undefined) {
      protect(data);
      return;
    }
    const request = mountOf(await withAddress(record.options, lookUp), data);
    try {
      mount(request);
    } catch (error) {
      throw new EngineError(
        "internal",
        `failed to mount local volume: mount ${request.source}:${data}, flags: ${(request.flags ?? []).join("|")}, data: ${withoutPassword(request.data ?? "")}: ${reasonOf(error)}`,
        { cause: error, hint: hintOf(error, request) },
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

async function lookUp(host: string): Promise<string> {
  return (await lookup(host)).address;
}

function hintOf(error: unknown, { source = "", type }: MountRequest): string | undefined {
  if (errnoOf(error) === "ENODEV") return `this machine's kernel has no file system ${type}: load its module`;
  if (errnoOf(error) === "ENOENT" && !existsSync(source)) return `check that ${source} is there`;
  return undefined;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENODEV: "no such device",
  EINVAL: "invalid argument",
  EPERM: "operation not permitted",
  EACCES: "permission denied",
  ECONNREFUSED: "connection refused",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  ENOTBLK: "block device required",
};

function reasonOf(error: unknown): string {
  return REASONS[errnoOf(error) ?? ""] ?? errorMessage(error);
}
