/**
 * Where a volume lies on the disk: `<volume>/_data`, and beside it for as long as it takes `_new` (what is about to become the data),
 * `_old` (what it was), `_pour` (all of what is being moved into the empty data, entry by entry) and `_moment-<id>` (a copy that is being
 * sent away).
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { unmountFar } from "../kernel/far-mounts.ts";
import { isMountPoint } from "../kernel/mounts.ts";
import { removeTree } from "../kernel/trees.ts";
import type { Paths } from "../store/paths.ts";
import { copyAttributes } from "./mirror.ts";

export class VolumePlaces {
  readonly #paths: Paths;

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  data(name: string): string {
    return join(this.#paths.volume(name), "_data");
  }

  /** All that belongs to the volume. */
  folder(name: string): string {
    return this.#paths.volume(name);
  }

  /** Makes the folders of a new volume. */
  make(name: string): void {
    mkdirSync(this.#paths.volume(name), { recursive: true, mode: 0o701 });
    mkdirSync(this.data(name), { recursive: true, mode: 0o755 });
  }

  /** An empty folder that `settle`, `adopt` or `pour` makes the data of. */
  async fresh(name: string): Promise<string> {
    const folder = join(this.#paths.volume(name), "_new");
    await removeTree(folder);
    mkdirSync(this.#paths.volume(name), { recursive: true, mode: 0o701 });
    mkdirSync(folder, { mode: 0o755 });
    return folder;
  }

  /** The fresh folder becomes the data of a volume that had none. */
  settle(name: string): void {
    renameSync(join(this.#paths.volume(name), "_new"), this.data(name));
  }

  /**
   * What the fresh folder holds comes into the data, which stays the folder it is: others may have it already. What they made there
   * meanwhile stays. After a kill `repair` goes on with it.
   */
  async pour(name: string): Promise<void> {
    const pour = join(this.#paths.volume(name), "_pour");
    renameSync(join(this.#paths.volume(name), "_new"), pour);
    await this.#pourOut(name, pour);
  }

  async #pourOut(name: string, pour: string): Promise<void> {
    const data = this.data(name);
    for (const entry of readdirSync(pour, { encoding: "buffer" })) {
      const [from, to] = [pour, data].map((folder) => Buffer.concat([Buffer.from(`${folder}/`), entry]));
      if (from && to && lstatSync(to, { throwIfNoEntry: false }) === undefined) renameSync(from, to);
    }
    copyAttributes(Buffer.from(pour), Buffer.from(data), statSync(pour, { bigint: true }));
    await removeTree(pour);
  }

  /** A folder for a copy that nobody keeps. */
  moment(name: string, id: string): string {
    const folder = join(this.#paths.volume(name), `_moment-${id}`);
    mkdirSync(folder, { mode: 0o755 });
    return folder;
  }

  /** The fresh folder becomes the data; what that was is removed. */
  async adopt(name: string): Promise<void> {
    const [data, old] = [this.data(name), join(this.#paths.volume(name), "_old")];
    renameSync(data, old);
    renameSync(join(this.#paths.volume(name), "_new"), data);
    await removeTree(old);
  }

  /** Undoes what a killed engine began: the data is the old one where the new one had not taken its place. What was being poured is in. */
  async repair(name: string): Promise<void> {
    const folder = this.#paths.volume(name);
    if (!existsSync(folder)) return;
    const names = readdirSync(folder);
    if (!names.includes("_data") && names.includes("_old")) renameSync(join(folder, "_old"), this.data(name));
    if (names.includes("_data") && names.includes("_pour")) await this.#pourOut(name, join(folder, "_pour"));
    for (const left of names) if (left !== "_data") await removeTree(join(folder, left));
  }

  /** Never through a mount: what a device holds is not the volume's to delete. */
  async erase(name: string): Promise<void> {
    while (isMountPoint(this.data(name))) await unmountFar(this.data(name));
    await removeTree(this.#paths.volume(name));
  }

  /** Names of the folders that are there but for the `known`, and since when they have data; undefined for none. */
  found(known: ReadonlySet<string>): { readonly name: string; readonly since: Date | undefined }[] {
    return readdirSync(this.#paths.volumes, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !known.has(entry.name))
      .map(({ name }) => ({ name, since: lstatSync(this.data(name), { throwIfNoEntry: false })?.birthtime }));
  }
}
