/** The cache: which repositories are whose copies, what is fetched when, and what is served while an upstream is away. */
import type { FileHandle } from "node:fs/promises";
import type { Digest } from "../../base/digest.ts";
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Descriptor } from "../../oci/types.ts";
import { RegistryError } from "../errors.ts";
import { readManifest } from "../manifest.ts";
import { deleteTag, type FoundManifest, findManifest, keepManifest } from "../manifests.ts";
import type { Reference } from "../names.ts";
import type { Quotas } from "../quotas.ts";
import type { Storage } from "../storage/open.ts";
import { Fill, type FillReader } from "./fill.ts";
import { Passage } from "./passage.ts";
import { Room, type Wanted } from "./room.ts";
import type { BlobTarget, Upstream, UpstreamConfig } from "./upstream.ts";

const TTL = 5 * 60_000;
/** Milliseconds that a client waits for an upstream's word on a tag that the cache has. */
const PATIENCE = 5_000;
/** Milliseconds that a client waits for what only the upstream has. */
const LONG_PATIENCE = 60_000;
/** Milliseconds that an upstream which did not answer is not asked about tags that the cache has. */
const AWAY = 15_000;

export interface Place {
  readonly config: UpstreamConfig;
  readonly upstream: Upstream;
}

export interface CachedManifest {
  readonly found: FoundManifest | undefined;
  /** Where the cache does not keep it. */
  readonly bytes?: Buffer | undefined;
  /** For the client's user. */
  readonly warning?: string | undefined;
}

interface Copy extends Place {
  /** The repository's name there. */
  readonly there: string;
}

interface Parts {
  readonly storage: Storage;
  readonly quotas: Quotas;
  readonly logger: Logger;
  readonly places: readonly Place[];
}

export class PullThrough {
  readonly #storage: Storage;
  /** Undefined where nothing limits copies. */
  readonly #room: Room | undefined;
  readonly #logger: Logger;
  /** The longest prefix first. */
  readonly #places: readonly Place[];
  readonly #fills = new Map<string, Promise<Fill>>();
  readonly #asking = new Map<string, Promise<CachedManifest>>();
  readonly counts = { hits: 0, misses: 0 };
  /** Upstreams that did not answer, and until when they are left alone: milliseconds since the epoch. */
  readonly #away = new Map<Upstream, number>();

  /** For a storage that nobody changes meanwhile. */
  static async open(parts: Parts): Promise<PullThrough> {
    const { quotas, places, storage } = parts;
    if (!quotas.any || places.length === 0 || !storage.writable) return new PullThrough(parts, undefined);
    const isCopy = (name: string) => placeOf(name, places) !== undefined;
    return new PullThrough(parts, await Room.open({ ...parts, isCopy }));
  }

  private constructor(parts: Parts, room: Room | undefined) {
    this.#storage = parts.storage;
    this.#room = room;
    this.#logger = parts.logger;
    this.#places = parts.places.toSorted((a, b) => b.config.prefix.length - a.config.prefix.length);
  }

  /** Whether a repository is a copy. */
  covers(name: string): boolean {
    return this.#copy(name) !== undefined;
  }

  /** The name here of what a client calls `name` at the registry `namespace` (the specification's `ns`); undefined when that is no upstream's prefix. */
  nameFor(name: string, namespace: string): string | undefined {
    const known = namespace !== "" && this.#places.some(({ config }) => config.prefix === namespace);
    return known && !name.startsWith(`${namespace}/`) ? `${namespace}/${name}` : undefined;
  }

  /** Throws UNAVAILABLE when the upstream is away and the cache does not have it, DENIED when it refuses. */
  async manifest(name: string, reference: Reference): Promise<CachedManifest> {
    const copy = this.#copy(name);
    const found = await this.#whole(name, reference);
    if (copy === undefined || !this.#storage.writable) return { found };
    const isHit =
      found !== undefined && (reference.kind === "digest" || (await this.#isFresh(copy, name, reference.tag)));
    if (this.#counted(isHit)) return { found };
    const key = `${name} ${reference.kind === "tag" ? reference.tag : reference.digest}`;
    const asking =
      this.#asking.get(key) ?? this.#ask(copy, name, reference, found).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return await asking;
  }

  /** Bytes; undefined when neither the cache nor the upstream has it. */
  async blobSize(name: string, digest: Digest): Promise<number | undefined> {
    const here = await this.#storage.repositories.blobSize(name, digest);
    const copy = this.#copy(name);
    if (here !== undefined || copy === undefined || !this.#storage.writable) return here;
    return await this.#explained(copy, () =>
      copy.upstream.blobSize(copy.there, digest, AbortSignal.timeout(LONG_PATIENCE)),
    );
  }

  /**
   * A blob that the repository lacks: what arrives of it and is kept, or, where the quotas have no room for its image, passes through. Undefined
   * when the repository has it (now), or nobody does.
   */
  async arriving(name: string, digest: Digest): Promise<FillReader | Passage | FileHandle | undefined> {
    const copy = this.#copy(name);
    if (copy === undefined || !this.#storage.writable) return undefined;
    if (this.#counted(await this.#storage.repositories.hasBlob(name, digest))) return undefined;
    const key = `${name} ${digest}`;
    const known = await this.#fill(key);
    if (known !== undefined) return await known.join();
    const size = await this.blobSize(name, digest);
    if (size === undefined) return undefined;
    const blob = { name, digest, size };
    const keep = async () => {
      // Another repository has it: the upstream's word that this one may have it too is enough.
      if (await this.#storage.repositories.linkBlob(name, digest)) return {};
      return { fill: (await this.#fill(key)) ?? (await this.#start(copy, key, blob)) };
    };
    const kept = await (this.#room === undefined ? keep() : this.#room.run(blob, keep));
    if (kept !== undefined) return await kept.fill?.join();
    this.#logger.log("info", "a blob passes through a cache that has no room for it", { ...blob });
    return (await this.#storage.blobs.open(digest)) ?? new Passage({ ...blob, fetch: this.#fetcher(copy, blob) });
  }

  /** Undefined when the repository is no copy, or the upstream is away. */
  async tags(name: string): Promise<string[] | undefined> {
    const ask = ({ upstream, there }: Copy) => upstream.tags(there, AbortSignal.timeout(LONG_PATIENCE));
    return (await this.#listed(name, "tags", ask))?.sort();
  }

  /** What refers to a manifest, in the order of the digests' bytes, each once. Undefined as for `tags`. */
  async referrers(name: string, subject: Digest): Promise<Descriptor[] | undefined> {
    const ask = ({ upstream, there }: Copy) => upstream.referrers(there, subject, AbortSignal.timeout(LONG_PATIENCE));
    const found = await this.#listed(name, "referrers", ask);
    const each = found && new Map(found.map((one) => [one.digest, one]));
    return each && [...each.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  async #listed<T>(name: string, what: string, ask: (copy: Copy) => Promise<T>): Promise<T | undefined> {
    const copy = this.#copy(name);
    if (copy === undefined || this.#isAway(copy) || !this.#storage.writable) return undefined;
    try {
      return await this.#asked(copy, () => ask(copy));
    } catch (error) {
      this.#logger.log("info", `${what} of an upstream not listed`, { repository: name, error: errorMessage(error) });
      return undefined;
    }
  }

  /** Whether it is a hit. */
  #counted(hit: boolean): boolean {
    this.counts[hit ? "hits" : "misses"] += 1;
    return hit;
  }

  async close(): Promise<void> {
    await Promise.all(this.#places.map(({ upstream }) => upstream.close()));
  }

  #copy(name: string): Copy | undefined {
    const place = placeOf(name, this.#places);
    if (place === undefined) return undefined;
    const { prefix } = place.config;
    return { ...place, there: prefix === "" ? name : name.slice(prefix.length + 1) };
  }

  /** What the cache has of it; a manifest whose bytes are gone is fetched again. */
  async #whole(name: string, reference: Reference): Promise<FoundManifest | undefined> {
    const found = await findManifest(this.#storage, name, reference);
    return found !== undefined && (await this.#storage.blobs.info(found.digest)) !== undefined ? found : undefined;
  }

  async #isFresh({ config }: Copy, name: string, tag: string): Promise<boolean> {
    const checkedAt = await this.#storage.repositories.tagCheckedAt(name, tag);
    return checkedAt !== undefined && Date.now() - checkedAt < (config.ttl ?? TTL);
  }

  async #ask(
    copy: Copy,
    name: string,
    reference: Reference,
    stale: FoundManifest | undefined,
  ): Promise<CachedManifest> {
    const text = reference.kind === "tag" ? reference.tag : reference.digest;
    if (stale === undefined) return await this.#explained(copy, () => this.#fetch(copy, name, reference));
    const warning = `${copy.config.url} does not answer: ${text} may have changed there since`;
    if (this.#isAway(copy)) return { found: stale, warning };
    try {
      return await this.#asked(copy, () => this.#renew(copy, name, text, stale));
    } catch (error) {
      if (isRefusal(error)) throw explained(copy, error);
      this.#logger.log("info", "a tag is served as it was", {
        repository: name,
        tag: text,
        error: errorMessage(error),
      });
      return { found: stale, warning };
    }
  }

  /** The tag's manifest as of now; undefined, and the tag is gone here too, when the upstream does not have it any more. */
  async #renew(copy: Copy, name: string, tag: string, stale: FoundManifest): Promise<CachedManifest> {
    const digest = await copy.upstream.digestOf(copy.there, tag, AbortSignal.timeout(PATIENCE));
    if (digest === stale.digest) {
      await this.#storage.repositories.touchTag(name, tag);
      return { found: stale };
    }
    const fetched = await this.#fetch(copy, name, { kind: "tag", tag });
    if (fetched.found === undefined) await deleteTag(this.#storage, name, tag);
    return fetched;
  }

  async #fetch(copy: Copy, name: string, reference: Reference): Promise<CachedManifest> {
    const text = reference.kind === "tag" ? reference.tag : reference.digest;
    const manifest = await copy.upstream.manifest(copy.there, text, AbortSignal.timeout(LONG_PATIENCE));
    if (manifest === undefined) return { found: undefined };
    const { bytes, digest, mediaType } = manifest;
    const facts = readManifest(bytes, mediaType);
    const size = bytes.length;
    const fits = (await this.#room?.make({ name, digest, size, names: facts.sizes })) ?? true;
    if (!fits) return { found: { mediaType: facts.mediaType, size, pushed: new Date().toISOString(), digest }, bytes };
    const tags = reference.kind === "tag" ? [reference.tag] : [];
    return { found: { ...(await keepManifest(this.#storage, name, { bytes, digest, facts, tags })), digest } };
  }

  /** Where clients can still join. */
  async #fill(key: string): Promise<Fill | undefined> {
    const fill = await this.#fills.get(key)?.catch(() => undefined);
    return fill?.abandoned === true ? undefined : fill;
  }

  #start(copy: Copy, key: string, blob: Wanted): Promise<Fill> {
    const starting = Fill.start({ storage: this.#storage, ...blob, fetch: this.#fetcher(copy, blob) });
    this.#fills.set(key, starting);
    const forget = () => {
      if (this.#fills.get(key) === starting) this.#fills.delete(key);
    };
    starting.then((fill) => fill.finished).then(forget, forget);
    return starting;
  }

  #fetcher(copy: Copy, blob: Wanted): (target: BlobTarget, signal: AbortSignal) => Promise<void> {
    return (target, signal) => this.#explained(copy, () => copy.upstream.fetch(copy.there, blob, target, signal));
  }

  #isAway({ upstream }: Copy): boolean {
    return (this.#away.get(upstream) ?? 0) > Date.now();
  }

  /** Remembers whether the upstream answers. */
  async #asked<T>({ upstream }: Copy, ask: () => Promise<T>): Promise<T> {
    try {
      const answer = await ask();
      this.#away.delete(upstream);
      return answer;
    } catch (error) {
      if (!isRefusal(error)) this.#away.set(upstream, Date.now() + AWAY);
      throw error;
    }
  }

  async #explained<T>(copy: Copy, ask: () => Promise<T>): Promise<T> {
    try {
      return await this.#asked(copy, ask);
    } catch (error) {
      throw explained(copy, error);
    }
  }
}

function placeOf(name: string, places: readonly Place[]): Place | undefined {
  return places.find(({ config: { prefix } }) => prefix === "" || name.startsWith(`${prefix}/`));
}

/** It answered, and said no. */
function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError || ["unauthorized", "forbidden", "not-found"].includes(errorKind(error));
}

function explained({ config }: Copy, error: unknown): unknown {
  if (error instanceof RegistryError || (error instanceof EngineError && error.kind === "cancelled")) return error;
  const message = `upstream ${config.url}: ${errorMessage(error)}`;
  if (isRefusal(error)) return new RegistryError("DENIED", message, { cause: error });
  return new RegistryError("UNAVAILABLE", message, { cause: error, headers: { "Retry-After": "15" } });
}
