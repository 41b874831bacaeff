/** A registry with the addresses it listens on, which takes up other settings while it runs. */
import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "../base/errors.ts";
import { KeyedLock } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import type { RemoteSettings } from "../remote/remote.ts";
import { DEFAULTS, type RegistryConfig } from "./config/config.ts";
import type { Lender } from "./lend.ts";
import { openRegistry } from "./open.ts";
import { type Served, serve } from "./server.ts";
import { readTls } from "./tls.ts";

export interface Settings {
  readonly config: RegistryConfig;
  /** How upstreams are reached. */
  readonly remote: Partial<RemoteSettings>;
}

export interface Surroundings {
  /** Where the configuration names none. */
  readonly defaultRoot: string;
  readonly logger: Logger;
  readonly lender?: Lender | undefined;
}

interface Open extends AsyncDisposable {
  readonly settings: Settings;
  readonly served: readonly Served[];
}

export class RunningRegistry implements AsyncDisposable {
  readonly #around: Surroundings;
  readonly #lock = new KeyedLock();
  #open: Open | undefined;

  private constructor(around: Surroundings, open: Open) {
    this.#around = around;
    this.#open = open;
  }

  /** Resolves when it listens. Throws "invalid" for wrong settings, "conflict" for a root or an address that is taken. */
  static async start(settings: Settings, around: Surroundings): Promise<RunningRegistry> {
    return new RunningRegistry(around, await open(settings, around));
  }

  /** "http://127.0.0.1:5000". */
  get urls(): readonly string[] {
    return this.#open?.served.map(({ url }) => url) ?? [];
  }

  get root(): string {
    return rootOf(this.#open?.settings.config ?? {}, this.#around);
  }

  /**
   * Post-condition: the settings are in force, files of certificates read again. Where only those changed, nobody notices; else requests under way are
   * cut off after a moment: uploads can be continued. Rejects when the new settings do not do: the old ones hold then.
   */
  reload(settings: Settings): Promise<void> {
    return this.#lock.run("reload", async () => {
      const tls = readTls(settings.config.tls);
      const before = this.#open;
      if (before !== undefined && isDeepStrictEqual(settings, before.settings)) {
        if (tls !== undefined) for (const server of before.served) server.renew(tls);
        return;
      }
      await before?.[Symbol.asyncDispose]();
      this.#open = undefined;
      try {
        this.#open = await open(settings, this.#around);
      } catch (error) {
        if (before !== undefined) this.#open = await this.#back(before.settings);
        throw error;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock.run("reload", async () => {
      await this.#open?.[Symbol.asyncDispose]();
      this.#open = undefined;
    });
  }

  async #back(settings: Settings): Promise<Open | undefined> {
    try {
      return await open(settings, this.#around);
    } catch (error) {
      this.#around.logger.log("error", "the registry does not come back", { error: errorMessage(error) });
      return undefined;
    }
  }
}

async function open(settings: Settings, around: Surroundings): Promise<Open> {
  const { config, remote } = settings;
  const { lender, logger } = around;
  const collection = { every: DEFAULTS.collectEvery, ...config.collection };
  await using closers = new AsyncDisposableStack();
  const tls = readTls(config.tls);
  const root = rootOf(config, around);
  const registry = closers.use(await openRegistry({ ...config, root, collection, remote, lender, logger }));
  const served: Served[] = [];
  for (const at of config.listen ?? DEFAULTS.listen) served.push(closers.use(await serve(registry, { ...at, tls })));
  const owned = closers.move();
  return Object.freeze({ settings, served, [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

function rootOf({ root }: RegistryConfig, { defaultRoot }: Surroundings): string {
  return root ?? defaultRoot;
}
