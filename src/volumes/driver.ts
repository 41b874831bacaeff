/** What keeps the data of volumes: this machine (`local-driver.ts`), or a plug-in (`plugin-driver.ts`). Calls for one volume do not overlap. */
import type { VolumeRecord } from "./records.ts";

export interface VolumeDriver {
  readonly name: string;
  /** Throws "invalid" for options that it does not take, where it can tell. */
  check(options: Readonly<Record<string, string>>): void;
  /** Post-condition: the volume is there. */
  create(record: VolumeRecord): Promise<void>;
  /** The volume and its data. Idempotent. */
  remove(record: VolumeRecord): Promise<void>;
  /** Makes the data reachable for one more user; the folder on this machine. */
  mount(record: VolumeRecord, user: string): Promise<string>;
  /** `last`: nobody else has it. */
  unmount(record: VolumeRecord, user: string, last: boolean): Promise<void>;
  /** Where the data is, as far as that is known without asking; "" otherwise. */
  folder(record: VolumeRecord): string;
  /** What `inspect` adds: where it is, what the driver says of it. */
  describe(record: VolumeRecord): Promise<{
    readonly folder: string;
    readonly scope: string;
    readonly status?: Readonly<Record<string, unknown>> | undefined;
  }>;
  /** Bytes on the disk; -1 when that is not ours to know. */
  usage(record: VolumeRecord, used: boolean): Promise<number>;
  /** After an engine's start, with those who use it. */
  restore(record: VolumeRecord, users: readonly string[]): Promise<void>;
}
