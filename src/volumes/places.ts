/**
 * Where a volume lies on the disk: `<volume>/_data`, and beside it for as long as it takes `_new` (what is about to become the data),
 * `_old` (what it was) and `_moment-<id>` (a copy that is being sent away).
 */
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { unmountIfMounted } from "../kernel/mounts.ts";
import { removeTree } from "../kernel/trees.ts";
import type { Paths } from "../store/paths.ts";

export class VolumePlaces {
  readonly #paths: Paths;

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  data(name: string): string {
    return join(this.#paths.volume(name), "_data");
  }

  /** Makes the folders of a new volume. */
  make(name: string): void {
    mkdirSync(this.#paths.volume(name), { recursive: true, mode: 0o701 });
    mkdirSync(this.data(name), { recursive: true, mode: 0o755 });
  }

  /** An empty folder that `adopt` makes the data of. */
  async fresh(name: string): Promise<string> {
    const folder = join(this.#paths.volume(name), "_new");
    await removeTree(folder);
    mkdirSync(folder, { mode: 0o755 });
    return folder;
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

  /** Undoes what a killed engine began: the data is the old one where the new one had not taken its place. */
  async repair(name: string): Promise<void> {
    const folder = this.#paths.volume(name);
    if (!existsSync(folder)) return;
    const names = readdirSync(folder);
    if (!names.includes("_data") && names.includes("_old")) renameSync(join(folder, "_old"), this.data(name));
    for (const left of names) if (left !== "_data") await removeTree(join(folder, left));
  }

  /** Never through a mount: what a device holds is not the volume's to delete. */
  async erase(name: string): Promise<void> {
    while (unmountIfMounted(this.data(name), { detach: true }));
    await removeTree(this.#paths.volume(name));
  }

  /** Names of all folders that are there. */
  names(): string[] {
    return readdirSync(this.#paths.volumes);
  }
}
