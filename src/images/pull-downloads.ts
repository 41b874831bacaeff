/** Blobs on their way into content: each once, however many pulls want it. */
import { openSync } from "node:fs";
import { link } from "node:fs/promises";
import type { Digest } from "../base/digest.ts";
import { EngineError, errnoOf, errorKind, errorMessage } from "../base/errors.ts";
import { failGrowth, grow, newGrowth } from "../base/growth.ts";
import { newId } from "../base/ids.ts";
import { releaseMemory } from "../base/release.ts";
import type { Slots } from "../base/slots.ts";
import type { Content, Ingest } from "../content/content.ts";
import type { Descriptor } from "../oci/types.ts";
import type { Repository } from "../remote/remote.ts";
import type { GrowingSource } from "../snapshots/snapshots.ts";

export interface DownloadListener {
  onBytes(bytes: number): void;
  onRetry(delay: number, error: unknown): void;
}

/** What a pull holds of a download that it may share with others. */
export interface Joined {
  readonly source: GrowingSource;
  /** Resolves when the blob is in content, verified. Rejects for this pull alone when it leaves. */
  readonly done: Promise<void>;
  /** It was begun by another pull, with its credentials. */
  readonly borrowed: boolean;
  /** Gives up the interest; when nobody has any, the download ends and its bytes go. Idempotent. */
  leave(): void;
}

export class Downloads {
  readonly #content: Content;
  readonly #slots: Slots;
  readonly #running = new Map<Digest, Download>();

  constructor(content: Content, slots: Slots) {
    this.#content = content;
    this.#slots = slots;
  }

  /** The caller holds the digest by a lease, and has seen that the blob is not there. */
  join(blob: Descriptor, repository: Repository, listener: DownloadListener): Joined {
    const running = this.#running.get(blob.digest);
    if (running?.serves(blob) === true) return running.join(listener, repository);
    return this.#start(blob, repository, running?.ended).join(listener, repository);
  }

  /** Ends what is under way, keeping what can be gone on with. */
  async close(): Promise<void> {
    const all = [...this.#running.values()];
    for (const download of all) download.suspend();
    await Promise.allSettled(all.map(({ ended }) => ended));
  }

  /** One that nobody wants any more puts its file away first. */
  #start(blob: Descriptor, repository: Repository, after: Promise<void> | undefined): Download {
    const download = new Download({ blob, repository, after, content: this.#content, slots: this.#slots });
    this.#running.set(blob.digest, download);
    const forget = () => {
      if (this.#running.get(blob.digest) === download) this.#running.delete(blob.digest);
    };
    void download.ended.then(forget, forget);
    return download;
  }
}

interface DownloadParts {
  readonly blob: Descriptor;
  readonly repository: Repository;
  readonly content: Content;
  readonly slots: Slots;
  readonly after: Promise<void> | undefined;
}

const SUSPENDED = "the engine is stopping; the next pull goes on from here";

class Download {
  readonly ended: Promise<void>;
  readonly #blob: Descriptor;
  readonly #repository: Repository;
  readonly #content: Content;
  readonly #stop = new AbortController();
  readonly #begun = Promise.withResolvers<void>();
  readonly #listeners = new Set<DownloadListener>();
  readonly #growth = newGrowth();
  #bytes = 0;
  #path = "";
  #callers = 0;
  #suspended = false;

  constructor({ blob, repository, content, slots, after }: DownloadParts) {
    this.#blob = blob;
    this.#repository = repository;
    this.#content = content;
    this.ended = Promise.resolve(after?.catch(() => {})).then(() => slots.run(() => this.#run(), this.#stop.signal));
    this.ended.catch((error: unknown) => {
      failGrowth(this.#growth);
      this.#begun.reject(error);
    });
    this.#begun.promise.catch(() => {});
  }

  /** Not once it was given up, and not for somebody who expects another size. */
  serves({ size }: Descriptor): boolean {
    return !this.#stop.signal.aborted && size === this.#blob.size;
  }

  join(listener: DownloadListener, repository: Repository): Joined {
    this.#callers++;
    this.#listeners.add(listener);
    if (this.#bytes > 0) listener.onBytes(this.#bytes);
    const left = Promise.withResolvers<never>();
    left.promise.catch(() => {});
    const leave = () => {
      if (!this.#listeners.delete(listener)) return;
      left.reject(new EngineError("cancelled", "request cancelled"));
      if (--this.#callers === 0) this.#stop.abort();
    };
    const done = Promise.race([this.ended, left.promise]);
    done.catch(() => {});
    return { source: this.#source(), done, leave, borrowed: repository !== this.#repository };
  }

  suspend(): void {
    this.#suspended = true;
    this.#stop.abort();
  }

  #source(): GrowingSource {
    const { digest, size } = this.#blob;
    const begun = this.#begun.promise;
    return { growth: this.#growth, length: size, begun, whole: this.ended, open: () => this.#open(digest) };
  }

  /** Where it lies now: the rename may be under way in another thread. */
  #open(digest: Digest): number {
    try {
      return openSync(this.#path, "r");
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      return openSync(this.#content.path(digest), "r");
    }
  }

  async #run(): Promise<void> {
    if (!(await this.#share())) await this.#download();
    this.#advance(this.#blob.size);
    // While it is still being unpacked. Whoever records the image waits for it, and hears of its failure.
    void this.#content.sync([this.#blob.digest]).catch(() => {});
  }

  /** By a second name for a file that is on this machine already. False where there is none, or it cannot have one. */
  async #share(): Promise<boolean> {
    const file = await this.#repository.shared(this.#blob, this.#stop.signal).catch((error: unknown) => {
      if (errorKind(error) === "cancelled") throw error;
      return undefined;
    });
    if (file === undefined) return false;
    const spare = this.#content.spare(`shared-${newId()}`);
    try {
      await link(file, spare);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return false;
    }
    await this.#content.adopt(spare, this.#blob, false);
    this.#path = this.#content.path(this.#blob.digest);
    return true;
  }

  async #download(): Promise<void> {
    const ingest = await this.#openIngest();
    const start = ingest.offset;
    try {
      this.#path = ingest.path;
      this.#advance(start);
      await this.#fetch(ingest, start);
      await this.#commit(ingest);
    } catch (error) {
      await this.#putAway(ingest, error);
      throw this.#suspended ? new EngineError("unavailable", SUSPENDED, { cause: error }) : error;
    }
  }

  /** Goes on with what an earlier attempt kept, unless that is too much. */
  async #openIngest(): Promise<Ingest> {
    const ref = `pull-${this.#blob.digest}`;
    const kept = await this.#content.ingest(ref, { resume: true });
    if (kept.offset <= this.#blob.size) return kept;
    await kept.abort();
    return await this.#content.ingest(ref, { resume: true });
  }

  /** "conflict" when what was kept from an earlier attempt may be what is wrong: it is gone, and another attempt begins anew. */
  async #commit(ingest: Ingest): Promise<void> {
    const { digest, size } = this.#blob;
    try {
      await ingest.commit({ digest, size, sync: false });
    } catch (error) {
      if (errorKind(error) !== "invalid") throw error;
      const message = `the registry's blob is not what its manifest says: ${errorMessage(error)}`;
      throw new EngineError(ingest.offset > 0 ? "conflict" : "invalid", message, { cause: error });
    }
  }

  async #fetch(ingest: Ingest, start: number): Promise<void> {
    const write = async (chunk: Uint8Array) => {
      const { length } = chunk;
      await ingest.write(chunk);
      releaseMemory(chunk);
      this.#advance(this.#bytes + length);
    };
    const onRetry = (delay: number, error: unknown) => {
      for (const listener of this.#listeners) listener.onRetry(delay, error);
    };
    await this.#repository.fetch(this.#blob, { offset: start, write }, { signal: this.#stop.signal, onRetry });
  }

  #advance(bytes: number): void {
    this.#bytes = bytes;
    grow(this.#growth, bytes);
    if (bytes > 0) this.#begun.resolve();
    for (const listener of this.#listeners) listener.onBytes(bytes);
  }

  /** What broke off can be gone on with; what nobody wants, and what is wrong, goes. */
  async #putAway(ingest: Ingest, error: unknown): Promise<void> {
    const kind = errorKind(error);
    const brokeOff = this.#suspended || (kind === "unavailable" && !this.#stop.signal.aborted);
    if (brokeOff && kind !== "invalid" && this.#bytes > 0) await ingest.close();
    else await ingest.abort();
  }
}
