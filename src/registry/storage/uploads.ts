/**
 * Uploads: files that grow until their digest is said. An upload is its file; what is in memory beside it (the hash so far) only
 * saves reading it again, so that the next process can go on with it.
 */
import { createHash, type Hash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Digest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import { RegistryError } from "../errors.ts";
import { type Algorithm, algorithmOf } from "../names.ts";
import type { Blobs } from "./blobs.ts";
import { namesIn, whenThere } from "./files.ts";
import type { Layout } from "./layout.ts";
import { receive } from "./receive.ts";

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const UUID_LENGTH = 36;

export interface Append {
  readonly body: Readable;
  /** Where the client says its first byte belongs. */
  readonly start?: number | undefined;
  /** Bytes that the client says are coming. */
  readonly length?: number | undefined;
  /** Called after every piece, which `pending` counts; may throw to refuse it. */
  readonly arrived?: (() => void) | undefined;
  /** Told of the upload's bytes in the file. */
  readonly written?: ((size: number) => void) | undefined;
}

interface Session {
  readonly name: string;
  /** Of all bytes in the file; undefined: it must be read. */
  hash: { readonly algorithm: Algorithm; readonly state: Hash } | undefined;
  /** Bytes in the file. */
  size: number;
  /** Bytes that came, those not yet in the file too. */
  came: number;
  /** Bytes that will come; 0: nobody knows. */
  readonly expected: number;
  /** Ends the request that is sending now. */
  interrupt: (() => void) | undefined;
}

export class Uploads {
  readonly #layout: Layout;
  readonly #blobs: Blobs;
  readonly #sessions = new Map<string, Session>();
  readonly #lock = new KeyedLock();

  constructor(layout: Layout, blobs: Blobs) {
    this.#layout = layout;
    this.#blobs = blobs;
  }

  /** Uploads that have begun and are not finished, those that an earlier process left too. */
  async open(): Promise<number> {
    return (await namesIn(this.#layout.uploads)).length;
  }

  /** Bytes of unfinished uploads to some repositories, as far as this process knows of them; where it is known what will come, that. */
  pending(isMeant: (name: string) => boolean): number {
    let sum = 0;
    for (const { name, came, expected } of this.#sessions.values()) if (isMeant(name)) sum += Math.max(came, expected);
    return sum;
  }

  /** Returns the upload's id, a UUID. */
  async start(name: string, algorithm: Algorithm = "sha256", expected = 0): Promise<string> {
    const id = randomUUID();
    await (await open(this.#layout.upload(id, name), "wx", 0o600)).close();
    this.#sessions.set(id, {
      name,
      hash: { algorithm, state: createHash(algorithm) },
      size: 0,
      came: 0,
      expected,
      interrupt: undefined,
    });
    return id;
  }

  /** Bytes so far. Throws BLOB_UPLOAD_UNKNOWN. */
  async size(name: string, id: string): Promise<number> {
    return (await this.#session(name, id)).size;
  }

  /**
   * Post-condition: the body is at the upload's end; the bytes so far are returned. A request that was still sending is ended first: its
   * client has come back. Throws 416 when the bytes belong elsewhere, SIZE_INVALID when there are fewer than were said, and keeps what came.
   */
  async append(name: string, id: string, { body, start, length, arrived, written }: Append): Promise<number> {
    return await this.#alone(name, id, async (session) => {
      if (start !== undefined && start !== session.size) throw outOfOrder(session.size, start);
      const before = session.size;
      const file = await open(this.#layout.upload(id, name), "r+");
      try {
        await this.#receive(session, file, { body, arrived, written });
      } finally {
        await file.close();
      }
      const came = session.size - before;
      if (length !== undefined && came !== length)
        throw new RegistryError("SIZE_INVALID", `${came} bytes came, ${length} were announced`);
      return session.size;
    });
  }

  /**
   * Post-condition: the upload is the blob of this digest. `link` has run before that, while nobody could remove it: a crash in between leaves a link that
   * shows nothing, and the upload. Throws DIGEST_INVALID when the bytes have another digest; they are gone then.
   */
  async finish(name: string, id: string, digest: Digest, link: (size: number) => Promise<void>): Promise<void> {
    await this.#alone(name, id, async (session) => {
      const path = this.#layout.upload(id, name);
      const actual = await hashOf(session, path, algorithmOf(digest));
      if (actual !== digest) {
        await this.#forget(name, id);
        throw new RegistryError("DIGEST_INVALID", `the uploaded content has the digest ${actual}, not ${digest}`, {
          detail: { expected: digest, actual },
        });
      }
      await this.#blobs.alone(digest, async () => {
        await link(session.size);
        await this.#blobs.take(path, digest);
      });
      this.#blobs.syncer.later(digest, [this.#layout.blob(digest), this.#layout.blobLink(name, digest)]);
      this.#sessions.delete(id);
    });
  }

  /** Throws BLOB_UPLOAD_UNKNOWN. */
  async cancel(name: string, id: string): Promise<void> {
    await this.#alone(name, id, () => this.#forget(name, id));
  }

  /** Removes uploads that nobody added to since a time (milliseconds since the epoch), or only counts them. */
  async expire(before: number, dryRun: boolean): Promise<{ readonly uploads: number; readonly bytes: number }> {
    let [uploads, bytes] = [0, 0];
    for (const file of await namesIn(this.#layout.uploads)) {
      const path = `${this.#layout.uploads}/${file}`;
      const id = file.slice(0, UUID_LENGTH);
      const stats = await whenThere(stat(path));
      if (stats === undefined || stats.mtimeMs > before || this.#lock.busy(id)) continue;
      uploads += 1;
      bytes += stats.size;
      if (dryRun) continue;
      this.#sessions.delete(id);
      await rm(path, { force: true });
    }
    return { uploads, bytes };
  }

  /** Ends what is being sent, keeping what came. */
  async close(): Promise<void> {
    const sending = [...this.#sessions].filter(([, session]) => session.interrupt !== undefined);
    for (const [, session] of sending) session.interrupt?.();
    await Promise.all(sending.map(([id]) => this.#lock.run(id, async () => {})));
  }

  /** One request at a time on an upload; the one that is still sending is ended. */
  async #alone<T>(name: string, id: string, task: (session: Session) => Promise<T>): Promise<T> {
    (await this.#session(name, id)).interrupt?.();
    return await this.#lock.run(id, async () => task(await this.#session(name, id)));
  }

  async #forget(name: string, id: string): Promise<void> {
    this.#sessions.delete(id);
    await rm(this.#layout.upload(id, name), { force: true });
  }

  /** From memory, or from the file that an earlier process left. */
  async #session(name: string, id: string): Promise<Session> {
    const unknown = () =>
      new RegistryError("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", { detail: { id } });
    if (!ID.test(id)) throw unknown();
    const stats = await whenThere(stat(this.#layout.upload(id, name)));
    if (stats === undefined) throw unknown();
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const { size } = stats;
    const found: Session = { name, hash: undefined, size, came: size, expected: 0, interrupt: undefined };
    this.#sessions.set(id, found);
    return found;
  }

  async #receive(session: Session, file: FileHandle, { body, arrived, written }: Append): Promise<void> {
    session.interrupt = () => body.destroy(new EngineError("cancelled", "another request went on with this upload"));
    try {
      await receive(body, {
        fd: file.fd,
        position: session.size,
        hash: session.hash?.state,
        arrived: (bytes) => {
          session.came += bytes;
          arrived?.();
        },
        written: (bytes) => {
          session.size += bytes;
          written?.(session.size);
        },
      });
    } catch (error) {
      // It may have been given bytes that are not in the file.
      session.hash = undefined;
      throw error;
    } finally {
      session.interrupt = undefined;
      session.came = session.size;
    }
  }
}

function outOfOrder(size: number, start: number): RegistryError {
  return new RegistryError("BLOB_UPLOAD_INVALID", `the upload has ${size} bytes, so the next is not ${start}`, {
    status: 416,
    detail: { size },
  });
}

async function hashOf(session: Session, path: string, algorithm: Algorithm): Promise<Digest> {
  if (session.hash?.algorithm === algorithm) return `${algorithm}:${session.hash.state.copy().digest("hex")}`;
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), async (chunks) => {
    for await (const chunk of chunks) hash.update(chunk);
  });
  return `${algorithm}:${hash.digest("hex")}`;
}
