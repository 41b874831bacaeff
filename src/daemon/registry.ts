/** The registry inside the daemon: the key `registry` of daemon.json. It shares the daemon's blobs, in both directions. */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { type Digest, parseDigest } from "../base/digest.ts";
import type { Logger } from "../base/log.ts";
import { type RegistryConfig, readConfig } from "../registry/config/config.ts";
import { SHARES } from "../registry/lend.ts";
import { RunningRegistry, type Settings, type Surroundings } from "../registry/running.ts";
import { makeLayout } from "../registry/storage/layout.ts";
import type { Neighbour, Remote } from "../remote/remote.ts";
import { makePaths } from "../store/paths.ts";
import type { Configuration } from "./configuration.ts";
import { OwnConnections } from "./own-connections.ts";
import { remoteSettings } from "./registries.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Undefined when none is configured. Throws "invalid", naming the place. */
export function registryConfig(configuration: Configuration): RegistryConfig | undefined {
  const value = configuration.raw("registry");
  return value === undefined ? undefined : readConfig(value, "registry");
}

interface Parts {
  readonly env: Environment;
  readonly logger: Logger;
  readonly dataRoot: string;
  /** The daemon's client, which may take blobs from the registry's folder. */
  readonly remote: Remote;
}

/** One for the daemon's life; whether there is a registry now is the configuration's word. */
export class EmbeddedRegistry implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #own = new OwnConnections();
  readonly #around: Surroundings;
  readonly #token = randomBytes(32).toString("hex");
  #running: RunningRegistry | undefined;
  #change: Promise<void> = Promise.resolve();

  constructor(configuration: Configuration, parts: Parts) {
    this.#parts = parts;
    const paths = makePaths(parts.dataRoot, configuration.execRoot);
    const lender = {
      trusts: (connection: Socket) => this.#own.has(connection),
      token: this.#token,
      path: (digest: Digest) => {
        const { algorithm, hex } = parseDigest(digest);
        return paths.blob(algorithm, hex);
      },
    };
    this.#around = { defaultRoot: paths.registry, logger: parts.logger, lender };
    parts.remote.neighbour = this.#neighbour();
  }

  /** Post-condition: what is configured listens, nothing else does. Rejects when it cannot: what was in force before is then. */
  configure(configuration: Configuration): Promise<void> {
    const changed = this.#change.then(() => this.#configure(configuration));
    this.#change = changed.catch(() => {});
    return changed;
  }

  async #configure(configuration: Configuration): Promise<void> {
    const config = registryConfig(configuration);
    if (config === undefined) {
      await this.#running?.[Symbol.asyncDispose]();
      this.#running = undefined;
      return;
    }
    const settings: Settings = { config, remote: remoteSettings(configuration, this.#parts.env) };
    if (this.#running !== undefined) await this.#running.reload(settings);
    else this.#running = await RunningRegistry.start(settings, this.#around);
    for (const url of this.#running.urls) this.#parts.logger.log("info", `Registry listens on ${url}`);
  }

  /** Known by its port, so that other registries are not asked, and by its token, so that nobody else is believed. */
  #neighbour(): Neighbour {
    const folder = () => this.#running?.root;
    return {
      get folder() {
        return folder();
      },
      isAt: (host) => this.#running?.urls.some((url) => portOf(url) === portOf(`http://${host}`)) ?? false,
      fileOf: (digest, headers) => {
        const root = folder();
        if (root === undefined || headers[SHARES.toLowerCase()] !== this.#token) return undefined;
        return makeLayout(root).blob(digest);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.remote.neighbour = undefined;
    await this.#change;
    await this.#running?.[Symbol.asyncDispose]();
    this.#own[Symbol.dispose]();
  }
}

/** "" for the scheme's own. */
function portOf(url: string): string | undefined {
  return URL.parse(url)?.port;
}
