/** Volumes in folders of the data root; one with a device is mounted over its folder while someone uses it. */
import { lookup } from "node:dns/promises";
import { existsSync, mkdirSync } from "node:fs";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { mountFar, unmountFar } from "../kernel/far-mounts.ts";
import { isMountPoint, type MountRequest, mount, unmountIfMounted } from "../kernel/mounts.ts";
import { treeUsage } from "../kernel/trees.ts";
import type { VolumeDriver } from "./driver.ts";
import { checkOptions, isFar, isServed, mountOf, needsMount, withAddress, withoutPassword } from "./options.ts";
import type { VolumePlaces } from "./places.ts";
import type { VolumeRecord } from "./records.ts";

export interface LocalDriverOptions {
  readonly places: VolumePlaces;
  readonly logger: Logger;
  readonly mountMs?: number | undefined;
}

export class LocalDriver implements VolumeDriver {
  readonly name = "local";
  readonly #places: VolumePlaces;
  readonly #logger: Logger;

  readonly #mountMs: number;

  /** `mountMs`: how long a server may take to answer. */
  constructor({ places, logger, mountMs = 60_000 }: LocalDriverOptions) {
    this.#places = places;
    this.#logger = logger;
    this.#mountMs = mountMs;
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

  async mount(record: VolumeRecord): Promise<string> {
    const data = this.folder(record);
    // A folder on which a server is mounted is not even looked at: that asks the server.
    if (isMounted(record) && isMountPoint(data)) return data;
    mkdirSync(data, { recursive: true, mode: 0o755 });
    if (isMounted(record)) await this.#mount(record);
    return data;
  }

  async unmount(record: VolumeRecord, _user: string, last: boolean): Promise<void> {
    if (last && isMounted(record)) await this.#unmount(record);
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
    if (isServed(record.options)) return -1;
    if (needsMount(record.options) && !used) return 0;
    return (await treeUsage(this.folder(record))).allocated;
  }

  async restore(record: VolumeRecord, users: readonly string[]): Promise<void> {
    await this.#places.repair(record.name);
    if (!isMounted(record)) return;
    const mounted = isMountPoint(this.folder(record));
    if (mounted && users.length === 0) await this.#unmount(record);
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
    if (record.snapshotOf !== undefined) return protect(data);
    const request = mountOf(await withAddress(record.options, lookUp), data);
    try {
      if (isFar(record.options)) await mountFar(request, { timeoutMs: this.#mountMs });
      else mount(request);
    } catch (error) {
      throw new EngineError(
        "internal",
        `failed to mount local volume: mount ${request.source}:${data}, flags: ${(request.flags ?? []).join("|")}, data: ${withoutPassword(request.data ?? "")}: ${reasonOf(error)}`,
        { cause: error, hint: hintOf(error, request, isServed(record.options)) },
      );
    }
  }

  async #unmount(record: VolumeRecord): Promise<void> {
    const data = this.folder(record);
    if (isFar(record.options)) await unmountFar(data);
    else unmountIfMounted(data, { detach: true });
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

function hintOf(error: unknown, { source = "", type = "" }: MountRequest, served: boolean): string | undefined {
  const errno = errnoOf(error) ?? "";
  if (errno === "ENODEV") return `this machine's kernel has no file system ${type}: load its module`;
  if (served || errno === "ETIMEDOUT") return SERVER_HINTS[errno]?.(type);
  if (errno === "ENOENT" && !existsSync(source)) return `check that ${source} is there`;
  return undefined;
}

const UNANSWERED = "the server did not answer: check its address, its firewall and the network between";

/** What to look at when a server, or the way to it, is the reason. */
const SERVER_HINTS: Readonly<Record<string, ((type: string) => string) | undefined>> = {
  ECONNREFUSED: (type) =>
    `nothing listens at the server's ${type} port: is its service running, and is the address right?`,
  ETIMEDOUT: () => UNANSWERED,
  // What nfs makes of a server that says nothing for as long as timeo and retrans allow.
  EIO: () => UNANSWERED,
  EHOSTUNREACH: () => "no way leads to the server: check its address and this machine's routes",
  ENETUNREACH: () => "no way leads to the server: check its address and this machine's routes",
  ENOENT: () => "the server has no such export: check the path in the option device",
  EACCES: () => "the server does not let this machine in: check its exports, user and password",
  EPERM: () => "the server does not let this machine in: check its exports, user and password",
  EPROTONOSUPPORT: (type) =>
    `the server does not speak this version of ${type}: set another one (nfsvers=, vers=) in the option o`,
  EBUSY: () => "an earlier mount of this volume still waits for the server",
  EINVAL: (type) =>
    `check the option o: ${type.startsWith("nfs") ? "nfs wants addr=SERVER, and nfsvers=4 without rpc.statd" : `the kernel's ${type} does not take it`}`,
};

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENODEV: "no such device",
  EINVAL: "invalid argument",
  EPERM: "operation not permitted",
  EACCES: "permission denied",
  ECONNREFUSED: "connection refused",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  EPROTONOSUPPORT: "protocol not supported",
  EBUSY: "device or resource busy",
  EIO: "input/output error",
  ENOTBLK: "block device required",
};

function reasonOf(error: unknown): string {
  return REASONS[errnoOf(error) ?? ""] ?? errorMessage(error);
}
