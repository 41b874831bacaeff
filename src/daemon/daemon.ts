/** The daemon's life: lock, engine, sockets, signals, end. */
import { join } from "node:path";
import { type Api, createApi } from "../api/api.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { Engine } from "../engine/engine.ts";
import { createEngine, DATA_ROOT } from "../engine/open.ts";
import { completeRemote } from "../engine/settings.ts";
import { VERSION } from "../engine/version.ts";
import { notifyServiceManager } from "../kernel/notify.ts";
import type { Configuration } from "./configuration.ts";
import { writeDiagnostics } from "./diagnostics.ts";
import { parseHost } from "./hosts.ts";
import { listen } from "./listen.ts";
import { withLiveFacts } from "./live-facts.ts";
import type { LineLogger } from "./logger.ts";
import { OPTIONS } from "./options.ts";
import { takePidfile } from "./pidfile.ts";
import { remoteSettings } from "./registries.ts";
import { changedKeys, reloadable } from "./reload.ts";
import { engineSettings } from "./settings.ts";
import { tlsOptions } from "./tls.ts";

/** Milliseconds that running requests get at the end. */
const GRACE = 1_000;

export interface DaemonOptions {
  readonly configuration: Configuration;
  /** Reads flags and file again. */
  readonly reread: () => Configuration;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: LineLogger;
}

/** Runs until a signal ends it; resolves with the exit code. Throws when it can't start, leaving nothing behind. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { logger, env } = options;
  let { configuration } = options;
  logger.log("info", "Starting up", { version: VERSION, pid: process.pid });
  for (const option of configuration.idle) logger.log("warn", `option without effect: ${option}`);
  survive(logger);
  const removePidfile = takePidfile(
    configuration.text("pidfile") ?? configuration.persona.pidfile ?? join(configuration.execRoot, "gantry.pid"),
  );
  const stopped = signalled(logger);
  let running: Engine | undefined;
  let embedded: Registry | undefined;
  process.on("SIGHUP", () => {
    configuration = reload(configuration, options, running);
    const { configFile } = configuration;
    embedded
      ?.configure(configuration)
      .catch((error: unknown) =>
        logger.log("error", `the registry of ${configFile} stays as it was`, { error: errorMessage(error) }),
      );
  });
  process.on("SIGUSR1", () => dumpDiagnostics(configuration, logger));
  try {
    const hosts = listenOn(configuration, env);
    const engine = await openEngine(configuration, options);
    await using _ = engine;
    running = engine;
    await using registry = openRegistry(configuration, engine, options);
    await registry.configure(configuration);
    embedded = registry;
    await findAuthorizationPlugins(configuration, engine);
    await using metrics = await withMetrics(configuration, engine, logger);
    const api = createApi(
      withLiveFacts(engine, () => configuration),
      {
        logger,
        observer: metrics?.observer,
        authorizationPlugins: () => configuration.list("authorization-plugins"),
      },
    );
    const where = await listen({ api, ...hosts, env, logger }).catch(async (error: unknown) => {
      await api.close(0);
      throw error;
    });
    logger.log("info", "Daemon has completed initialization");
    for (const place of where) logger.log("info", `API listen on ${place}`);
    await tellManager("READY=1", options);
    const code = await stopped;
    await stop({ api, engine, configuration }, options);
    return code;
  } finally {
    removePidfile();
  }
}

function listenOn(configuration: Configuration, env: DaemonOptions["env"]) {
  const tls = tlsOptions(configuration, env);
  const { persona } = configuration;
  const defaultPath = persona.host.replace("unix://", "");
  const group = { name: configuration.text("group") ?? persona.group, required: configuration.has("group") };
  return {
    tls,
    group,
    hosts: configuration.hosts.map((host) => parseHost(host, { tls: tls !== undefined, defaultPath })),
  };
}

async function openEngine(configuration: Configuration, { logger, env }: DaemonOptions): Promise<Engine> {
  logger.log("info", "Loading containers: start.");
  const engine = await createEngine({
    dataRoot: configuration.text("data-root"),
    execRoot: configuration.execRoot,
    settings: engineSettings(configuration, env),
    logger,
  });
  logger.log("info", "Loading containers: done.");
  return engine;
}

/** A name that nobody answers to would shut everybody out. */
async function findAuthorizationPlugins(configuration: Configuration, { plugins }: Engine): Promise<void> {
  for (const name of configuration.list("authorization-plugins"))
    await plugins.get(name, "authz").catch((error: unknown) => {
      throw new EngineError("invalid", `failed to validate authorization plugin: ${errorMessage(error)}`, {
        cause: error,
        hint: `Start ${name} before the daemon, or leave it out of "authorization-plugins".`,
      });
    });
}

/** Its modules are loaded where it is configured. */
async function withMetrics(configuration: Configuration, engine: Engine, logger: LineLogger) {
  const address = configuration.text("metrics-addr");
  if (address === undefined) return undefined;
  const { serveMetrics } = await import("./metrics/server.ts");
  return serveMetrics({ engine, address, logger, dataRoot: configuration.text("data-root") ?? DATA_ROOT });
}

interface Registry extends AsyncDisposable {
  /** As `EmbeddedRegistry.configure`. */
  configure(configuration: Configuration): Promise<void>;
}

/** Its module is loaded where it is configured, which a reload may do. */
function openRegistry(first: Configuration, { remote }: Engine, { env, logger }: DaemonOptions): Registry {
  const dataRoot = first.text("data-root") ?? DATA_ROOT;
  let made: Promise<Registry> | undefined;
  const make = async () => {
    const { EmbeddedRegistry } = await import("./registry.ts");
    return new EmbeddedRegistry(first, { env, logger, dataRoot, remote });
  };
  return {
    configure: async (configuration) => {
      if (made === undefined && !configuration.has("registry")) return;
      made ??= make();
      await (await made).configure(configuration);
    },
    [Symbol.asyncDispose]: async () => {
      await (await made)?.[Symbol.asyncDispose]();
    },
  };
}

/**
 * A bug must not take the daemon, and with it every client's stream, down: the state that matters is in the database and in the
 * containers' monitors, and each request has its own failure. See docs/decisions/.
 */
function survive(logger: LineLogger): void {
  const tell = (what: string) => (error: unknown) =>
    logger.log("error", what, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.on("uncaughtException", tell("uncaught exception; the daemon goes on"));
  process.on("unhandledRejection", tell("unhandled rejection; the daemon goes on"));
  process.stderr.on("error", () => {});
}

/** Resolves with the exit code at the first signal to stop; a second one ends the process at once. */
function signalled(logger: LineLogger): Promise<number> {
  let asked = false;
  return new Promise((resolve) => {
    for (const [signal, word, number] of [
      ["SIGTERM", "terminated", 15],
      ["SIGINT", "interrupt", 2],
      ["SIGQUIT", "quit", 3],
    ] as const)
      process.on(signal, () => {
        if (asked) {
          logger.log("warn", "Forcing daemon shutdown without cleanup");
          process.exit(128 + number);
        }
        asked = true;
        logger.log("info", `Processing signal '${word}'`);
        resolve(0);
      });
  });
}

async function stop(
  parts: { api: Api; engine: Engine; configuration: Configuration },
  options: DaemonOptions,
): Promise<void> {
  const { api, engine, configuration } = parts;
  await tellManager("STOPPING=1", options);
  // Before their clients are cut off, which would count as cancelling.
  await engine.images.suspend();
  await api.close(GRACE);
  if (configuration.flag("live-restore") === false)
    await engine.containers.stopAll({ timeout: configuration.number("shutdown-timeout") ?? 15 });
  options.logger.log("info", "Daemon shutdown complete");
}

/** The configuration that is in force afterwards: the old one when the new one is wrong. */
function reload(before: Configuration, options: DaemonOptions, engine: Engine | undefined): Configuration {
  const { reread, logger, env } = options;
  logger.log("info", `Got signal to reload configuration, reloading from: ${before.configFile}`);
  try {
    const after = reloadable(before, reread());
    engine?.remote.configure(completeRemote(remoteSettings(after, env)));
    logger.level = after.logLevel;
    const { taken, ignored } = changedKeys(before, after, reread());
    logger.log("info", "Reloaded configuration", { changed: taken.join(",") || "nothing" });
    if (engine !== undefined)
      void takeUpRuntimes(after, taken, engine, logger).then(() => tellReload(after, engine, logger));
    if (ignored.length > 0)
      logger.log("warn", "these options take effect at the next start", { options: ignored.join(",") });
    return after;
  } catch (error) {
    logger.log("error", errorMessage(error));
    return before;
  }
}

/** With what can change while the daemon runs, as dockerd tells it. */
async function tellReload(configuration: Configuration, engine: Engine, logger: LineLogger): Promise<void> {
  try {
    const { ID, Name } = await engine.system.info();
    const values = OPTIONS.filter(({ reloads }) => reloads).map(({ key }) => [key, configuration.raw(key)] as const);
    const given = values.filter(([, value]) => value !== undefined);
    const attributes = Object.fromEntries(
      given.map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
    );
    engine.events.publish({
      type: "daemon",
      action: "reload",
      id: ID ?? "",
      attributes: { ...attributes, name: Name ?? "" },
    });
  } catch (error) {
    logger.log("warn", "the reload was not told", { error: errorMessage(error) });
  }
}

/** The earlier ones stay when the new ones can't be: the log says why. */
async function takeUpRuntimes(
  configuration: Configuration,
  changed: readonly string[],
  engine: Engine,
  logger: LineLogger,
): Promise<void> {
  if (!changed.some((key) => key === "runtimes" || key === "default-runtime" || key === "runtime-timeout")) return;
  const { runtimes } = configuration;
  await engine.system
    .configureRuntimes({
      runtimes,
      defaultRuntime: configuration.text("default-runtime"),
      runtimeTimeout: configuration.number("runtime-timeout"),
    })
    .then(() => logger.log("info", "Runtimes taken up", { names: Object.keys(runtimes).join(",") }))
    .catch((error: unknown) => logger.log("error", "runtimes not taken up", { error: errorMessage(error) }));
}

function dumpDiagnostics(configuration: Configuration, logger: LineLogger): void {
  try {
    logger.log("info", `diagnostics written to ${writeDiagnostics(configuration.execRoot)}`);
  } catch (error) {
    logger.log("error", "diagnostics not written", { error: errorMessage(error) });
  }
}

async function tellManager(state: string, { env, logger }: DaemonOptions): Promise<void> {
  if (env.NOTIFY_SOCKET === undefined || env.NOTIFY_SOCKET === "") return;
  await notifyServiceManager(env.NOTIFY_SOCKET, state).catch((error: unknown) =>
    logger.log("warn", "service manager not notified", { error: errorMessage(error) }),
  );
}
