/** Volumes that another program keeps: Docker's volume plug-in protocol. */
import { isAbsolute } from "node:path";
import { EngineError, errorKind } from "../base/errors.ts";
import type { Plugin, Plugins } from "../plugins/plugins.ts";
import type { VolumeDriver } from "./driver.ts";
import { scopeOf } from "./plugin-volumes.ts";
import type { VolumeRecord } from "./records.ts";

interface Described {
  readonly Mountpoint?: unknown;
  readonly Status?: Readonly<Record<string, unknown>>;
}

export class PluginDriver implements VolumeDriver {
  readonly name: string;
  readonly #plugins: Plugins;
  /** Volume → folder, as the plug-in last said. */
  readonly #folders = new Map<string, string>();

  constructor(name: string, plugins: Plugins) {
    this.name = name;
    this.#plugins = plugins;
  }

  /** The plug-in judges them when the volume is made. */
  check(): void {}

  /** One that the plug-in has already is taken as it is: it may have been made on another machine. */
  async create({ name, options }: VolumeRecord): Promise<void> {
    const plugin = await this.#plugin();
    if (!(await this.#has(plugin, name))) await plugin.call("VolumeDriver.Create", { Name: name, Opts: options });
  }

  async remove({ name }: VolumeRecord): Promise<void> {
    const plugin = await this.#plugin();
    try {
      await plugin.call("VolumeDriver.Remove", { Name: name });
    } catch (error) {
      if (await this.#has(plugin, name)) throw error;
    }
    this.#folders.delete(name);
  }

  async mount({ name }: VolumeRecord, user: string): Promise<string> {
    const plugin = await this.#plugin();
    const { Mountpoint } = await plugin.call<Described>("VolumeDriver.Mount", { Name: name, ID: user });
    if (typeof Mountpoint !== "string" || !isAbsolute(Mountpoint)) {
      await plugin.call("VolumeDriver.Unmount", { Name: name, ID: user }).catch(() => {});
      throw new EngineError("internal", `the plugin ${this.name} gave no folder for the volume ${name}`, {
        hint: "VolumeDriver.Mount must answer with an absolute Mountpoint",
      });
    }
    this.#folders.set(name, Mountpoint);
    return Mountpoint;
  }

  async unmount({ name }: VolumeRecord, user: string): Promise<void> {
    await (await this.#plugin()).call("VolumeDriver.Unmount", { Name: name, ID: user });
  }

  folder({ name }: VolumeRecord): string {
    return this.#folders.get(name) ?? "";
  }

  async describe(record: VolumeRecord) {
    const plugin = await this.#plugin();
    const { Volume } = await plugin.call<{ Volume?: Described }>("VolumeDriver.Get", { Name: record.name });
    const { Mountpoint, Status } = Volume ?? {};
    return {
      folder: typeof Mountpoint === "string" && Mountpoint !== "" ? Mountpoint : this.folder(record),
      scope: await scopeOf(plugin),
      status: Status,
    };
  }

  async usage(): Promise<number> {
    return -1;
  }

  /** Its mounts are the plug-in's, which did not end with the engine. */
  async restore({ name }: VolumeRecord, users: readonly string[]): Promise<void> {
    if (users.length === 0) return;
    const ask = async () => {
      const { Mountpoint } = await (await this.#plugin()).call<Described>("VolumeDriver.Path", { Name: name });
      if (typeof Mountpoint === "string") this.#folders.set(name, Mountpoint);
    };
    // Not waited for: the engine starts without it as well.
    void ask().catch(() => {});
  }

  /** "not-found" in Docker's words. */
  async #plugin(): Promise<Plugin> {
    try {
      return await this.#plugins.get(this.name, "VolumeDriver");
    } catch (error) {
      if (errorKind(error) !== "not-found") throw error;
      throw new EngineError(
        "not-found",
        `error looking up volume plugin ${this.name}: plugin "${this.name}" not found`,
        {
          hint: "plug-ins are found by their sockets in /run/docker/plugins and by files in /etc/docker/plugins",
          cause: error,
        },
      );
    }
  }

  async #has(plugin: Plugin, name: string): Promise<boolean> {
    try {
      const { Volume } = await plugin.call<{ Volume?: unknown }>("VolumeDriver.Get", { Name: name });
      return typeof Volume === "object" && Volume !== null;
    } catch (error) {
      // It answered, and knows no such volume.
      if (errorKind(error) === "internal") return false;
      throw error;
    }
  }
}
