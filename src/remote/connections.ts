/** Connections to registries: pools by what their TLS and their way are, made when they are first needed. */
import { createSecureContext, type SecureContext } from "node:tls";
import type { Dispatcher } from "undici";
import { systemAuthorities } from "../kernel/authorities.ts";
import { type CertificateFiles, certificateFiles, readAll } from "./certificates.ts";
import { isInsecure } from "./endpoints.ts";
import { proxyFor } from "./proxy.ts";
import type { RemoteSettings } from "./remote.ts";

/** Milliseconds. */
const CONNECT_TIMEOUT = 30_000;

/** The pools of one state of the settings. */
export class Connections {
  readonly #settings: RemoteSettings;
  readonly #agents = new Map<string, Promise<Dispatcher>>();

  constructor(settings: RemoteSettings) {
    this.#settings = settings;
  }

  /** `insecure`: the caller's rule says so; otherwise the list of insecure registries decides. Throws "invalid" for bad certificate files. */
  dispatcher(url: URL, insecure: boolean): Promise<Dispatcher> {
    const lax = insecure || isInsecure(url.host, this.#settings);
    const files = url.protocol === "https:" ? certificateFiles(this.#settings.certificateFolders, url.host) : undefined;
    const proxy = proxyFor(url, this.#settings);
    const key = JSON.stringify([lax, files?.stamp, proxy]);
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const made = makeAgent(lax, files, proxy);
    this.#agents.set(key, made);
    made.catch(() => this.#agents.delete(key));
    return made;
  }

  /** What is under way ends first. */
  async close(): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.allSettled(agents.map(async (agent) => (await agent).close()));
  }
}

async function makeAgent(
  insecure: boolean,
  files: CertificateFiles | undefined,
  proxy: string | undefined,
): Promise<Dispatcher> {
  // 100 ms and 20 MB that an engine without registries does not need.
  const { Agent, ProxyAgent } = await import("undici");
  // Where nothing is verified, no authority is needed.
  const context = insecure && files === undefined ? {} : { secureContext: await secureContext(files) };
  const tls = { ...context, rejectUnauthorized: !insecure, timeout: CONNECT_TIMEOUT };
  const pool = { allowH2: false, keepAliveTimeout: 10_000 };
  if (proxy === undefined) return new Agent({ ...pool, connect: tls });
  return new ProxyAgent({ ...pool, uri: proxy, requestTls: tls });
}

/** Parsed once for all connections: it takes tens of milliseconds. */
async function secureContext(files: CertificateFiles | undefined): Promise<SecureContext> {
  const own = files === undefined ? [] : readAll(files.authorities);
  const pairs = files?.pairs ?? [];
  return createSecureContext({
    ca: [...(await systemAuthorities()), ...own],
    cert: readAll(pairs.map(({ cert }) => cert)),
    key: readAll(pairs.map(({ key }) => key)),
  });
}
