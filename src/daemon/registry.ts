/** The registry inside the daemon: the key `registry` of daemon.json. It shares the daemon's blobs. */
import type { Socket } from "node:net";
import { type Digest, parseDigest } from "../base/digest.ts";
import type { Logger } from "../base/log.ts";
import { DEFAULTS, type RegistryConfig, readConfig } from "../registry/config/config.ts";
import type { Lender } from "../registry/lend.ts";
import { openRegistry } from "../registry/open.ts";
import { serve } from "../registry/server.ts";
import { readTls } from "../registry/tls.ts";
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

export interface EmbeddedRegistry extends AsyncDisposable {
  /** "http://127.0.0.1:5000". */
  readonly urls: readonly string[];
}

/** Resolves when it listens; undefined when none is configured. Its blobs and the daemon's are the same files where both are on one file system. */
export async function openEmbeddedRegistry(
  configuration: Configuration,
  dataRoot: string,
  { env, logger }: { readonly env: Environment; readonly logger: Logger },
): Promise<EmbeddedRegistry | undefined> {
  const config = registryConfig(configuration);
  if (config === undefined) return undefined;
  const paths = makePaths(dataRoot, configuration.execRoot);
  await using closers = new AsyncDisposableStack();
  const own = closers.use(new OwnConnections());
  const lender: Lender = {
    trusts: (connection: Socket) => own.has(connection),
    path: (digest: Digest) => {
      const { algorithm, hex } = parseDigest(digest);
      return paths.blob(algorithm, hex);
    },
  };
  const root = config.root ?? paths.registry;
  const remote = remoteSettings(configuration, env);
  const collection = { every: DEFAULTS.collectEvery, ...config.collection };
  const registry = closers.use(await openRegistry({ ...config, root, collection, lender, remote, logger }));
  const urls: string[] = [];
  for (const at of config.listen ?? DEFAULTS.listen)
    urls.push(closers.use(await serve(registry, { ...at, tls: readTls(config.tls) })).url);
  const owned = closers.move();
  return { urls, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
