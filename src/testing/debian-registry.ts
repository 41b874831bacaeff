/** Debian's docker-registry on loopback, for tests and benchmarks: a real registry that is not ours. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";

export interface RegistryOptions {
  /** htpasswd lines (bcrypt): basic authentication. */
  readonly htpasswd?: string | undefined;
  readonly tls?:
    | { readonly certificate: string; readonly key: string; readonly clientCas?: readonly string[] }
    | undefined;
  /** URL of another registry: this one is a pull-through cache of it. */
  readonly proxyOf?: string | undefined;
  /** Bearer tokens of somebody else. */
  readonly token?:
    | { readonly realm: string; readonly service: string; readonly issuer: string; readonly rootCerts: string }
    | undefined;
  /** The same one again after a stop. */
  readonly folder?: string | undefined;
  readonly port?: number | undefined;
}

export interface DebianRegistry extends AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  /** "localhost:5000". */
  readonly host: string;
  log(): string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startDebianRegistry(options: RegistryOptions = {}): Promise<DebianRegistry> {
  const registry = new SpawnedRegistry(options, options.port ?? (await freePort()));
  try {
    await registry.start();
    return registry;
  } catch (error) {
    await registry[Symbol.asyncDispose]();
    throw error;
  }
}

class SpawnedRegistry implements DebianRegistry {
  readonly folder: string;
  readonly port: number;
  readonly host: string;
  readonly #options: RegistryOptions;
  #child: ChildProcess | undefined;
  #log = "";

  constructor(options: RegistryOptions, port: number) {
    this.#options = options;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "gantry-registry-"));
    this.port = port;
    this.host = `localhost:${port}`;
  }

  log(): string {
    return this.#log;
  }

  async start(): Promise<void> {
    const path = join(this.folder, "config.json");
    writeFileSync(path, JSON.stringify(configuration(this.#options, this.folder, this.port)));
    const child = spawn("docker-registry", ["serve", path], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH },
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        this.#log = (this.#log + chunk).slice(-50_000);
      });
    child.on("error", (error) => {
      this.#log += String(error);
    });
    this.#child = child;
    const seen = this.#log.length;
    for (let attempt = 0; !this.#log.slice(seen).includes("listening on"); attempt++) {
      if (child.exitCode !== null || attempt > 1000) throw new Error(`docker-registry did not come up:\n${this.#log}`);
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#options.folder === undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** JSON is YAML. */
function configuration({ htpasswd, tls, proxyOf, token }: RegistryOptions, folder: string, port: number): object {
  if (htpasswd !== undefined) writeFileSync(join(folder, "htpasswd"), htpasswd);
  return {
    version: "0.1",
    log: { level: "info" },
    storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: "tests",
      ...(tls !== undefined && {
        tls: {
          certificate: tls.certificate,
          key: tls.key,
          ...(tls.clientCas !== undefined && { clientcas: tls.clientCas }),
        },
      }),
    },
    ...(htpasswd !== undefined && { auth: { htpasswd: { realm: "tests", path: join(folder, "htpasswd") } } }),
    ...(token !== undefined && {
      auth: {
        token: { realm: token.realm, service: token.service, issuer: token.issuer, rootcertbundle: token.rootCerts },
      },
    }),
    ...(proxyOf !== undefined && { proxy: { remoteurl: proxyOf } }),
  };
}
