/** Sending a blob: not at all where the registry has it, in one piece when it is small, else resumable. */
import { Readable } from "node:stream";
import { EngineError, errorKind } from "../base/errors.ts";
import { discard, type HttpAnswer } from "./http.ts";
import { RegistryError, registryError } from "./registry-error.ts";
import type { BlobSource, SendOptions, Sent } from "./remote.ts";
import { delayBefore, isTransient, pause } from "./retry.ts";
import type { Session } from "./session.ts";

/** Up to here one PUT does it all; beyond, what got through before a cut should not be sent again. Bytes. */
const IN_ONE_PIECE = 16 << 20;
/** For a registry that says that a request was too large. Bytes. */
const SMALL_CHUNK = 8 << 20;
const MOST_ATTEMPTS = 200;
/** A registry may move a whole blob before it answers. Milliseconds. */
const PATIENCE = 300_000;

export async function hasBlob(session: Session, digest: string, signal: AbortSignal | undefined): Promise<boolean> {
  const { path } = session.endpoint;
  const answer = await session.send({ method: "HEAD", path: `${path}/blobs/${digest}`, signal });
  if (answer.status === 200) await discard(answer);
  else if (answer.status !== 404) throw await registryError(answer, `asking for blob ${digest}`);
  else await discard(answer);
  return answer.status === 200;
}

/** Post-condition: the registry has the blob. */
export async function sendBlob(
  session: Session,
  blob: BlobSource,
  options: SendOptions & { readonly attempts: number },
): Promise<Sent> {
  const { signal, mountFrom = [] } = options;
  if (await hasBlob(session, blob.digest, signal)) return { how: "exists" };
  for (const from of mountFrom) {
    const mounted = await mount(session, blob, from, signal);
    if (mounted === true) return { how: "mounted", from };
    if (mounted instanceof URL) return await new Upload(session, blob, options).run(mounted);
  }
  return await new Upload(session, blob, options).run(undefined);
}

/** True: done; a URL: the registry wants the blob sent there; undefined: it would have none of it. */
async function mount(
  session: Session,
  { digest }: BlobSource,
  from: string,
  signal: AbortSignal | undefined,
): Promise<true | URL | undefined> {
  const query = new URLSearchParams({ mount: digest, from });
  const path = `${session.endpoint.path}/blobs/uploads/?${query}`;
  try {
    const answer = await session.send({
      method: "POST",
      path,
      body: nothing,
      signal,
      scopes: [`repository:${from}:pull`],
    });
    await discard(answer);
    if (answer.status === 201) return true;
    return answer.status === 202 ? locationOf(answer) : undefined;
  } catch (error) {
    // No token for the other repository: that says nothing of this one.
    if (errorKind(error) === "unauthorized") return undefined;
    throw error;
  }
}

class Upload {
  readonly #session: Session;
  readonly #blob: BlobSource;
  readonly #options: SendOptions & { readonly attempts: number };
  /** Where the rest goes, and how much the registry has. */
  #at: { readonly url: URL; readonly offset: number } | undefined;
  #chunk = Number.POSITIVE_INFINITY;
  #resumes = true;

  constructor(session: Session, blob: BlobSource, options: SendOptions & { readonly attempts: number }) {
    this.#session = session;
    this.#blob = blob;
    this.#options = options;
  }

  async run(begun: URL | undefined): Promise<Sent> {
    const { attempts, signal, onRetry } = this.#options;
    if (begun !== undefined) this.#at = { url: begun, offset: 0 };
    let inVain = 0;
    for (let attempt = 0; ; attempt++) {
      const before = this.#at?.offset ?? 0;
      try {
        await this.#attempt();
        return { how: "sent" };
      } catch (error) {
        if (signal?.aborted === true || !(await this.#canGoOn(error))) throw error;
        inVain = (this.#at?.offset ?? 0) > before ? 0 : inVain + 1;
        if (inVain >= attempts || attempt >= MOST_ATTEMPTS) throw error;
        const delay = inVain === 0 ? 0 : delayBefore(inVain - 1, error);
        onRetry?.(delay, error);
        await pause(delay, signal);
      }
    }
  }

  async #attempt(): Promise<void> {
    this.#at ??= { url: await this.#begin(), offset: 0 };
    const { size } = this.#blob;
    if (this.#at.offset === 0 && size <= IN_ONE_PIECE && size <= this.#chunk) return await this.#finish(true);
    if (!this.#resumes) return await this.#finish(true);
    while (this.#at.offset < size) await this.#sendChunk(this.#at);
    await this.#finish(false);
  }

  async #begin(): Promise<URL> {
    const path = `${this.#session.endpoint.path}/blobs/uploads/${algorithmQuery(this.#blob)}`;
    const answer = await this.#session.send({ method: "POST", path, body: nothing, signal: this.#options.signal });
    if (answer.status !== 202) throw await registryError(answer, "beginning an upload");
    await discard(answer);
    return locationOf(answer);
  }

  async #sendChunk({ url, offset }: { readonly url: URL; readonly offset: number }): Promise<void> {
    const end = Math.min(this.#blob.size, offset + this.#chunk);
    const answer = await this.#session.send({
      method: "PATCH",
      path: url,
      headers: { ...lengths(offset, end), "Content-Range": `${offset}-${end - 1}` },
      body: () => this.#body(offset, end),
      patience: PATIENCE,
      signal: this.#options.signal,
    });
    if (answer.status !== 202 && answer.status !== 204)
      throw await registryError(answer, `sending blob ${this.#blob.digest}`);
    await discard(answer);
    this.#at = { url: locationOf(answer), offset: end };
  }

  /** Closes the upload; `whole`: all bytes go along. */
  async #finish(whole: boolean): Promise<void> {
    const { digest, size } = this.#blob;
    const url = new URL((this.#at as { url: URL }).url);
    url.searchParams.set("digest", digest);
    const answer = await this.#session.send({
      method: "PUT",
      path: url,
      headers: lengths(0, whole ? size : 0),
      body: () => (whole ? this.#body(0, size) : Buffer.alloc(0)),
      patience: PATIENCE,
      signal: this.#options.signal,
    });
    if (answer.status !== 201 && answer.status !== 204) throw await registryError(answer, `sending blob ${digest}`);
    await discard(answer);
  }

  #body(start: number, end: number): Readable {
    const { onProgress } = this.#options;
    const blob = this.#blob;
    async function* counted(): AsyncGenerator<Buffer> {
      let at = start;
      for await (const chunk of blob.open(start, end) as AsyncIterable<Buffer>) {
        yield chunk;
        at += chunk.length;
        onProgress?.(at);
      }
    }
    return Readable.from(counted(), { objectMode: false, highWaterMark: 1 << 20 });
  }

  /** Whether another attempt makes sense; finds out how far the registry got. */
  async #canGoOn(error: unknown): Promise<boolean> {
    const status = error instanceof RegistryError ? error.status : undefined;
    if (status === 413 && this.#chunk > SMALL_CHUNK) {
      this.#chunk = SMALL_CHUNK;
      this.#at = undefined;
      return true;
    }
    // It does not take pieces, or lost the upload.
    if ((status === 416 || status === 404 || status === 405) && this.#at !== undefined && this.#resumes) {
      this.#resumes = false;
      this.#at = undefined;
      return true;
    }
    if (!isTransient(error, this.#at !== undefined)) return false;
    this.#at = await this.#status();
    return true;
  }

  /** Undefined: it knows nothing of the upload any more. */
  async #status(): Promise<{ url: URL; offset: number } | undefined> {
    if (this.#at === undefined) return undefined;
    try {
      const answer = await this.#session.send({ method: "GET", path: this.#at.url, signal: this.#options.signal });
      await discard(answer);
      const end = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers.range ?? "")?.[1];
      if (answer.status !== 204 || end === undefined) return undefined;
      // "0-0" is one byte to some and none to others: nothing is lost by sending it again.
      const offset = Number(end) === 0 ? 0 : Number(end) + 1;
      if (offset > this.#blob.size || offset === 0) return undefined;
      return { url: locationOf(answer, this.#at.url), offset };
    } catch {
      return undefined;
    }
  }
}

const nothing = () => Buffer.alloc(0);

function algorithmQuery({ digest }: BlobSource): string {
  return digest.startsWith("sha256:") ? "" : `?digest-algorithm=${digest.slice(0, digest.indexOf(":"))}`;
}

function lengths(start: number, end: number): Record<string, string> {
  return { "Content-Length": String(end - start), "Content-Type": "application/octet-stream" };
}

/** Where the upload goes on. Behind a proxy that ends TLS, registries often say "http" of themselves: the way we came is kept. */
function locationOf({ headers, url }: HttpAnswer, otherwise?: URL): URL {
  const { location } = headers;
  const target = location === undefined ? otherwise : URL.parse(location, url);
  if (target === undefined || target === null || !/^https?:$/.test(target.protocol))
    throw new EngineError("invalid", `${url.host} does not say where to send the blob`);
  if (target.host === url.host) target.protocol = url.protocol;
  return target;
}
