/** A repository over its endpoints: mirrors first, the registry last. */
import type { Digest } from "../base/digest.ts";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { isForeignLayerType } from "../oci/media-types.ts";
import type { Reference } from "../oci/reference.ts";
import type { Descriptor } from "../oci/types.ts";
import { BlobTransfer } from "./blobs.ts";
import { describe } from "./describe.ts";
import type { Endpoint } from "./endpoints.ts";
import { discard, type HttpAnswer, type HttpRequest } from "./http.ts";
import { fetchManifest, hasManifest, putManifest } from "./manifests.ts";
import { listReferrers } from "./referrers.ts";
import type {
  BlobSink,
  BlobSource,
  Described,
  FetchOptions,
  Neighbour,
  RemoteManifest,
  Repository,
  SendOptions,
  Sent,
} from "./remote.ts";
import { retrying } from "./retry.ts";
import type { Session } from "./session.ts";
import { listTags } from "./tags.ts";
import { sendBlob } from "./uploads.ts";

/** Attempts for what is small and asked for by somebody who waits. */
const ATTEMPTS = 3;
const MOST_URLS = 10;

export class RemoteRepository implements Repository {
  readonly reference: Reference;
  readonly #sessions: readonly Session[];
  readonly #attempts: number;
  readonly #elsewhere: (request: HttpRequest) => Promise<HttpAnswer>;
  readonly #neighbour: Neighbour | undefined;
  readonly #logger: Logger;

  constructor(parts: {
    readonly reference: Reference;
    readonly sessions: readonly Session[];
    readonly attempts: number;
    /** A request that is nobody's: no token goes along. */
    readonly elsewhere: (request: HttpRequest) => Promise<HttpAnswer>;
    readonly neighbour?: Neighbour | undefined;
    readonly logger: Logger;
  }) {
    this.reference = parts.reference;
    this.#sessions = parts.sessions;
    this.#attempts = parts.attempts;
    this.#elsewhere = parts.elsewhere;
    this.#neighbour = parts.neighbour;
    this.#logger = parts.logger;
  }

  manifest(
    which: { readonly tag: string } | { readonly digest: Digest },
    signal?: AbortSignal,
  ): Promise<RemoteManifest> {
    const [name, kind] = "digest" in which ? [which.digest, "digest" as const] : [which.tag, "tag" as const];
    return this.#first(kind, (session) => this.#small(signal, () => fetchManifest(session, name, signal)));
  }

  tags(signal?: AbortSignal): AsyncIterable<string> {
    return listTags(this.#registry, signal);
  }

  referrers(subject: Digest, signal?: AbortSignal): Promise<Descriptor[]> {
    return this.#small(signal, () => listReferrers(this.#registry, subject, signal));
  }

  async fetch(blob: Descriptor, sink: BlobSink, options: FetchOptions = {}): Promise<void> {
    const transfer = new BlobTransfer(blob, sink, { ...options, attempts: this.#attempts });
    try {
      await this.#first("digest", (session) => {
        const path = `${session.endpoint.path}/blobs/${blob.digest}`;
        return transfer.from((headers, signal) => session.send({ method: "GET", path, headers, signal }));
      });
    } catch (error) {
      if (errorKind(error) !== "not-found" || !isForeignLayerType(blob.mediaType)) throw error;
      await this.#fromElsewhere(blob, transfer, error);
    }
  }

  /** A layer that registries may not give out says itself where it is. */
  async #fromElsewhere({ urls = [], digest }: Descriptor, transfer: BlobTransfer, missing: unknown): Promise<void> {
    let last = missing;
    for (const text of urls.slice(0, MOST_URLS)) {
      const url = URL.parse(text);
      if (url === null || !/^https?:$/.test(url.protocol)) continue;
      try {
        await transfer.from((headers, signal) => this.#elsewhere({ method: "GET", url, headers, signal }));
        return;
      } catch (error) {
        if (errorKind(error) === "cancelled") throw error;
        this.#logger.log("info", "a foreign layer's source passed over", {
          digest,
          url: url.host,
          error: errorMessage(error),
        });
        last = error;
      }
    }
    throw last;
  }

  async shared({ digest, size }: Descriptor, signal?: AbortSignal): Promise<string | undefined> {
    const near = this.#sessions.filter(({ endpoint }) => this.#neighbour?.isAt(endpoint.host) === true);
    for (const session of near) {
      const path = `${session.endpoint.path}/blobs/${digest}`;
      const answer = await session.send({ method: "HEAD", path, signal });
      await discard(answer);
      if (answer.status !== 200 || answer.headers["content-length"] !== String(size)) continue;
      const file = this.#neighbour?.fileOf(digest, answer.headers);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  send(blob: BlobSource, options: SendOptions = {}): Promise<Sent> {
    return sendBlob(this.#registry, blob, { ...options, attempts: this.#attempts });
  }

  describe(which: Parameters<Repository["describe"]>[0], signal?: AbortSignal): Promise<Described | undefined> {
    const [kind, name] = "blob" in which ? (["blobs", which.blob] as const) : (["manifests", which.manifest] as const);
    return this.#small(signal, () => describe(this.#registry, kind, name, signal));
  }

  hasManifest(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    return this.#small(signal, () => hasManifest(this.#registry, digest, signal));
  }

  putManifest(
    which: { readonly tag: string } | { readonly digest: Digest },
    manifest: RemoteManifest,
    signal?: AbortSignal,
  ): Promise<void> {
    const name = "digest" in which ? which.digest : which.tag;
    return this.#small(signal, () => putManifest(this.#registry, name, manifest, signal));
  }

  get #registry(): Session {
    return this.#sessions.at(-1) as Session;
  }

  #small<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return retrying(work, { attempts: ATTEMPTS, signal });
  }

  /** The first endpoint that does it; the registry's own failure is the one that is told. */
  async #first<T>(kind: "tag" | "digest", ask: (session: Session) => Promise<T>): Promise<T> {
    const sessions = this.#sessions.filter(({ endpoint }) => serves(endpoint, kind));
    for (const session of sessions.slice(0, -1)) {
      try {
        return await ask(session);
      } catch (error) {
        if (errorKind(error) === "cancelled") throw error;
        const { host } = session.endpoint;
        this.#logger.log("info", "mirror passed over", { mirror: host, error: errorMessage(error) });
      }
    }
    const last = sessions.at(-1);
    if (last === undefined)
      throw new EngineError(
        "forbidden",
        "no registry may be asked for this: only mirrors that serve the other kind of name",
      );
    return await ask(last);
  }
}

function serves({ pull }: Endpoint, kind: "tag" | "digest"): boolean {
  return pull === "all" || pull === `${kind}-only`;
}
