/** A registry as a process of its own. */
import { existsSync } from "node:fs";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { Logger, LogLevel } from "../base/log.ts";
import type { RemoteSettings } from "../remote/remote.ts";
import {
  type Address,
  address,
  DEFAULTS,
  type RegistryConfig,
  type RuleConfig,
  readConfigFile,
  type TlsFiles,
} from "./config/config.ts";
import { askToCollect, type CollectWish } from "./control.ts";
import type { Collected } from "./gc/collect.ts";
import { openRegistry } from "./open.ts";
import { RunningRegistry, type Settings } from "./running.ts";
import { makeLayout } from "./storage/layout.ts";

/** What flags can say. They win over the file. */
export interface MainFlags {
  readonly config: string | undefined;
  readonly root: string | undefined;
  /** Where neither flag nor file names one. */
  readonly defaultRoot: string;
  /** "[HOST:]PORT". */
  readonly listen: readonly string[];
  readonly readOnly: boolean | undefined;
  readonly tlsCertificate: string | undefined;
  readonly tlsKey: string | undefined;
  readonly htpasswd: string | undefined;
  /** Who is not logged in may pull. */
  readonly anonymousPull: boolean;
  /** Proxies on the way to upstreams. */
  readonly remote: Pick<RemoteSettings, "httpProxy" | "httpsProxy" | "noProxy">;
}

/** Serves until SIGTERM or SIGINT; resolves with the exit code. SIGHUP reads the configuration and its files again. `say` is given lines for the user. */
export async function runRegistry(flags: MainFlags, say: (line: string) => void): Promise<number> {
  const settings = () => ({ config: configOf(flags), remote: flags.remote });
  const logger = lineLogger(say);
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  const first = settings();
  await using running = await RunningRegistry.start(first, { defaultRoot: flags.defaultRoot, logger });
  for (const at of first.config.listen ?? DEFAULTS.listen) warnOpen(first.config, at, logger);
  for (const url of running.urls) say(`registry ${running.root} listens on ${url}`);
  process.on("SIGHUP", () => void reload(running, settings, logger));
  await stopped;
  return 0;
}

async function reload(running: RunningRegistry, settings: () => Settings, logger: Logger): Promise<void> {
  try {
    await running.reload(settings());
    logger.log("info", "configuration and certificates read again", { listens: running.urls.join(" ") });
  } catch (error) {
    logger.log("error", "the settings stay as they were", { error: errorMessage(error) });
  }
}

export interface GarbageWish extends CollectWish {
  readonly config: string | undefined;
  readonly root: string | undefined;
  readonly defaultRoot: string;
}

/** By the process that serves the root; by this one when there is none. */
export async function collectGarbage({ config: path, grace, dryRun, ...flags }: GarbageWish): Promise<Collected> {
  const config = path === undefined ? {} : readConfigFile(path);
  const root = flags.root ?? config.root ?? flags.defaultRoot;
  if (!existsSync(root))
    throw new EngineError("not-found", `there is no registry at ${root}`, { hint: "name it with --root" });
  const wish = { grace, dryRun };
  const collected = await askToCollect(makeLayout(root).control, wish);
  if (collected !== undefined) return collected;
  await using registry = await openRegistry({
    root,
    retention: config.retention,
    collection: { ...config.collection, every: 0 },
  });
  return await registry.collect(wish);
}

/** Throws "invalid". */
function configOf(flags: MainFlags): RegistryConfig {
  const file = flags.config === undefined ? {} : readConfigFile(flags.config);
  const tls = tlsFlags(flags);
  return {
    ...file,
    ...(flags.root !== undefined && { root: flags.root }),
    ...(flags.listen.length > 0 && { listen: flags.listen.map((text) => address(text, "--listen")) }),
    ...(flags.readOnly !== undefined && { readOnly: flags.readOnly }),
    ...(tls !== undefined && { tls }),
    ...(flags.htpasswd !== undefined && {
      auth: { htpasswd: flags.htpasswd, ...(flags.anonymousPull && { rules: READ_ALL }) },
    }),
  };
}

const ALL = [/^.*$/];
const READ_ALL: readonly RuleConfig[] = [
  { repositories: ALL, users: ["anonymous"], actions: ["pull"] },
  { repositories: ALL, users: ["authenticated"], actions: ["pull", "push", "delete"] },
];

function tlsFlags({ tlsCertificate: certificate, tlsKey: key }: MainFlags): TlsFiles | undefined {
  if (certificate !== undefined && key !== undefined) return { certificate, key };
  if (certificate === undefined && key === undefined) return undefined;
  throw new EngineError("invalid", "--tls-cert and --tls-key belong together");
}

function warnOpen({ auth, tls }: RegistryConfig, { host }: Address, logger: Logger): void {
  if (/^(?:127\.|::1$|localhost$)/.test(host)) return;
  if (auth === undefined) logger.log("warn", "everyone who reaches this address may pull, push and delete", { host });
  else if (tls === undefined) logger.log("warn", "passwords go over this address in the clear", { host });
}

function lineLogger(say: (line: string) => void): Logger {
  const value = (item: unknown) => (/^[\w./:@-]+$/.test(String(item)) ? String(item) : JSON.stringify(String(item)));
  return {
    log(level: LogLevel, message, fields = {}) {
      if (level === "debug") return;
      const pairs = Object.entries({ time: new Date().toISOString(), level, msg: message, ...fields });
      say(pairs.map(([key, item]) => `${key}=${value(item)}`).join(" "));
    },
  };
}

export { hashPassword } from "./auth/add-user.ts";
