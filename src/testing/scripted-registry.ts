/** A registry in memory that a test can make behave badly: ordinary answers, unless the test gives another. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TlsOptions } from "node:tls";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import { ociManifest, type TestImage } from "./image-archives.ts";

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}

/** True: it has answered, or will. */
type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export class ScriptedRegistry implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  /** Changed by the test. */
  intercept: Intercept = () => false;
  readonly blobs = new Map<string, Buffer>();
  /** "name/reference" → document. */
  readonly manifests = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  /** Upload → what came so far. */
  readonly uploads = new Map<string, Buffer[]>();
  /** How much of each request's body comes before its connection is cut; by the test. */
  cuts: number[] = [];
  readonly #server;

  private constructor(tls: TlsOptions | undefined) {
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      this.seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers });
      void this.#answer(request, response).catch(() => response.destroy());
    };
    this.#server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);
  }

  static async start(tls?: TlsOptions): Promise<ScriptedRegistry> {
    const registry = new ScriptedRegistry(tls);
    await new Promise<void>((resolve) => registry.#server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get host(): string {
    return `localhost:${this.port}`;
  }

  /** The manifest's digest. */
  addImage(name: string, tag: string, image: TestImage): string {
    for (const bytes of [image.config, ...image.layers]) this.addBlob(bytes);
    return this.addManifest(name, tag, ociManifest(image), MEDIA.ociManifest);
  }

  addBlob(bytes: Buffer): string {
    this.blobs.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  }

  addManifest(name: string, reference: string, bytes: Buffer, type: string): string {
    for (const key of [reference, digestOf(bytes)]) this.manifests.set(`${name}/${key}`, { type, bytes });
    return digestOf(bytes);
  }

  /** How often a path was asked for. */
  count(method: string, path: RegExp): number {
    return this.seen.filter((one) => one.method === method && path.test(one.url)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await this.intercept(request, response)) return;
    const { method, url = "" } = request;
    const path = decodeURIComponent(url.split("?", 1)[0] ?? "");
    const blob = /^\/v2\/(.+)\/blobs\/([^/]+)$/.exec(path);
    const manifest = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(path);
    const upload = /^\/v2\/(.+)\/blobs\/uploads\/(\w*)$/.exec(path);
    const tags = /^\/v2\/(.+)\/tags\/list$/.exec(path);
    if (path === "/v2/") response.end("{}");
    else if (upload !== null) await this.#upload(upload[1] ?? "", upload[2] ?? "", request, response);
    else if (manifest !== null && method === "PUT")
      await this.#takeManifest(manifest[1] ?? "", manifest[2] ?? "", request, response);
    else if (blob !== null) this.#sendBlob(blob[2] ?? "", method === "HEAD", request, response);
    else if (manifest !== null) this.#sendManifest(`${manifest[1]}/${manifest[2]}`, method === "HEAD", response);
    else if (tags !== null) this.#sendTags(tags[1] ?? "", response);
    else refuse(response, 404, "UNSUPPORTED");
  }

  #sendBlob(digest: string, head: boolean, { headers }: IncomingMessage, response: ServerResponse): void {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) {
      refuse(response, 404, "BLOB_UNKNOWN");
      return;
    }
    const start = Number(/^bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
    const rest = bytes.subarray(start);
    const range = start > 0 ? { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(start > 0 ? 206 : 200, { "Content-Length": rest.length, ...range });
    response.end(head ? undefined : rest);
  }

  #sendManifest(key: string, head: boolean, response: ServerResponse): void {
    const found = this.manifests.get(key);
    if (found === undefined) {
      refuse(response, 404, "MANIFEST_UNKNOWN");
      return;
    }
    const { type, bytes } = found;
    response.writeHead(200, {
      "Content-Type": type,
      "Content-Length": bytes.length,
      "Docker-Content-Digest": digestOf(bytes),
    });
    response.end(head ? undefined : bytes);
  }

  async #upload(name: string, id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method, url = "" } = request;
    const query = new URL(url, "http://localhost").searchParams;
    if (method === "POST") {
      const mounted = this.blobs.get(query.get("mount") ?? "");
      if (mounted !== undefined && query.get("from") !== null) {
        response.writeHead(201).end();
        return;
      }
      this.#answerUpload(name, `u${this.uploads.size}`, 202, response);
      return;
    }
    if (method === "GET") {
      this.#answerUpload(name, id, this.uploads.has(id) ? 204 : 404, response);
      return;
    }
    await this.#takeBytes(id, request);
    const digest = query.get("digest");
    const bytes = Buffer.concat(this.uploads.get(id) ?? []);
    if (method !== "PUT") this.#answerUpload(name, id, 202, response);
    else if (digest !== digestOf(bytes)) refuse(response, 400, "DIGEST_INVALID");
    else {
      this.blobs.set(digest, bytes);
      response.writeHead(201, { Location: `/v2/${name}/blobs/${digest}` }).end();
    }
  }

  #answerUpload(name: string, id: string, status: number, response: ServerResponse): void {
    if (!this.uploads.has(id) && status !== 404) this.uploads.set(id, []);
    const size = this.uploads.get(id)?.reduce((sum, { length }) => sum + length, 0) ?? 0;
    response
      .writeHead(status, { Location: `/v2/${name}/blobs/uploads/${id}`, Range: `0-${Math.max(0, size - 1)}` })
      .end();
  }

  /** What came before a cut is kept. */
  async #takeBytes(id: string, request: IncomingMessage): Promise<void> {
    const cut = request.method === "PATCH" ? this.cuts.shift() : undefined;
    const held = this.uploads.get(id) ?? [];
    this.uploads.set(id, held);
    let taken = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        held.push(chunk);
        taken += chunk.length;
        if (cut !== undefined && taken >= cut) request.socket.destroy();
      }
    } catch {
      // The client or the test has cut it.
    }
  }

  async #takeManifest(
    name: string,
    reference: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const bytes = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
    const digest = this.addManifest(name, reference, bytes, request.headers["content-type"] ?? "");
    response.writeHead(201, { "Docker-Content-Digest": digest }).end();
  }

  #sendTags(name: string, response: ServerResponse): void {
    const keys = [...this.manifests.keys()].filter((key) => key.startsWith(`${name}/`) && !key.includes("sha256:"));
    response.end(JSON.stringify({ name, tags: keys.map((key) => key.slice(name.length + 1)) }));
  }
}

export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll("_", " ") }] }));
}
