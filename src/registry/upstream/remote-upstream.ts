/** An upstream over Gantry's own registry client: tokens, retries, resumed downloads, proxies. */
import { readFileSync } from "node:fs";
import type { Digest } from "../../base/digest.ts";
import { isDigest } from "../../base/digest.ts";
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Descriptor } from "../../oci/types.ts";
import { openRemote, REMOTE_DEFAULTS } from "../../remote/open.ts";
import type { Credentials, Remote, RemoteSettings, Repository } from "../../remote/remote.ts";
import type { BlobTarget, Upstream, UpstreamConfig, UpstreamManifest } from "./upstream.ts";

/** Stands for the upstream in the client's names; a rule says where it is. */
const DOMAIN = "upstream";
/** docker.io's own images are below this name there. */
const OFFICIAL = "library/";

/** Throws "invalid" when the password's file cannot be read. */
export function openUpstream(config: UpstreamConfig, settings: Partial<RemoteSettings>, logger: Logger): Upstream {
  const rule = { prefix: DOMAIN, location: config.url, insecure: config.insecure };
  const remote = openRemote({ settings: { ...REMOTE_DEFAULTS, ...settings, mirrors: [], rules: [rule] }, logger });
  return new RemoteUpstream(remote, credentialsOf(config), /\bdocker\.io$/.test(new URL(config.url).hostname));
}

function credentialsOf({ username, password, passwordFile }: UpstreamConfig): Credentials | undefined {
  if (username === undefined) return undefined;
  if (passwordFile === undefined) return { username, password };
  try {
    return { username, password: readFileSync(passwordFile, "utf8").trim() };
  } catch (error) {
    throw new EngineError("invalid", `cannot read ${passwordFile}: ${errorMessage(error)}`, { cause: error });
  }
}

class RemoteUpstream implements Upstream {
  readonly #remote: Remote;
  readonly #credentials: Credentials | undefined;
  readonly #isDockerHub: boolean;

  constructor(remote: Remote, credentials: Credentials | undefined, isDockerHub: boolean) {
    this.#remote = remote;
    this.#credentials = credentials;
    this.#isDockerHub = isDockerHub;
  }

  async digestOf(name: string, tag: string, signal: AbortSignal): Promise<Digest | undefined> {
    return (await this.#at(name).describe({ manifest: tag }, signal))?.digest;
  }

  async manifest(name: string, reference: string, signal: AbortSignal): Promise<UpstreamManifest | undefined> {
    const which = isDigest(reference) ? { digest: reference } : { tag: reference };
    try {
      const { bytes, descriptor } = await this.#at(name).manifest(which, signal);
      return { bytes, mediaType: descriptor.mediaType, digest: descriptor.digest };
    } catch (error) {
      if (errorKind(error) === "not-found") return undefined;
      throw error;
    }
  }

  async blobSize(name: string, digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    return (await this.#at(name).describe({ blob: digest }, signal))?.size;
  }

  async fetch(
    name: string,
    { digest, size }: { digest: Digest; size: number },
    target: BlobTarget,
    signal: AbortSignal,
  ): Promise<void> {
    const sink = { offset: 0, write: (chunk: Uint8Array) => target.write(chunk) };
    await this.#at(name).fetch({ mediaType: "application/octet-stream", digest, size }, sink, { signal });
  }

  tags(name: string, signal: AbortSignal): Promise<string[]> {
    return Array.fromAsync(this.#at(name).tags(signal));
  }

  referrers(name: string, subject: Digest, signal: AbortSignal): Promise<Descriptor[]> {
    return this.#at(name).referrers(subject, signal);
  }

  close(): Promise<void> {
    return this.#remote.close();
  }

  #at(name: string): Repository {
    const path = this.#isDockerHub && !name.includes("/") ? OFFICIAL + name : name;
    return this.#remote.repository({ domain: DOMAIN, path }, { credentials: this.#credentials, access: "pull" });
  }
}
