/** A real registry on loopback for tests: a temporary root, a client, both taken away afterwards. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import type { Descriptor } from "../oci/types.ts";
import { openRegistry } from "../registry/open.ts";
import type { Registry, RegistryOptions } from "../registry/registry.ts";
import { serve } from "../registry/server.ts";

export interface TestRegistry extends AsyncDisposable {
  readonly root: string;
  /** "http://127.0.0.1:40123". */
  readonly url: string;
  /** "127.0.0.1:40123". */
  readonly host: string;
  readonly registry: Registry;
  /** A path below the registry, or a Location it gave. */
  fetch(method: string, path: string, init?: Init): Promise<Response>;
  /** POST and PUT; resolves with the digest. */
  pushBlob(name: string, data: string | Uint8Array, algorithm?: "sha256" | "sha512"): Promise<Descriptor>;
  /** Resolves with the descriptor; throws when the answer is not 201. `reference`: default the digest. */
  pushManifest(name: string, manifest: object, reference?: string): Promise<Descriptor>;
  /** An image of one layer with this content. */
  pushImage(name: string, reference: string | undefined, content: string, more?: object): Promise<Descriptor>;
}

export interface Init {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function startRegistry(
  options: Omit<RegistryOptions, "root"> & { root?: string } = {},
): Promise<TestRegistry> {
  const root = options.root ?? mkdtempSync(join(tmpdir(), "gantry-registry-"));
  const registry = await openRegistry({ ...options, root });
  const served = await serve(registry, { host: "127.0.0.1", port: 0 });
  return new ServedRegistry(root, served.url, registry, async () => {
    await served[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    if (options.root === undefined) rmSync(root, { recursive: true, force: true });
  });
}

class ServedRegistry implements TestRegistry {
  readonly root: string;
  readonly url: string;
  readonly registry: Registry;
  readonly #close: () => Promise<void>;

  constructor(root: string, url: string, registry: Registry, close: () => Promise<void>) {
    this.root = root;
    this.url = url;
    this.registry = registry;
    this.#close = close;
  }

  get host(): string {
    return new URL(this.url).host;
  }

  fetch(method: string, path: string, { headers, body, signal }: Init = {}): Promise<Response> {
    const url = new URL(path, this.url);
    const extra = body instanceof ReadableStream ? { duplex: "half" } : {};
    return fetch(url, {
      method,
      redirect: "manual",
      ...(headers !== undefined && { headers }),
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
      ...extra,
    } as RequestInit);
  }

  async pushBlob(
    name: string,
    data: string | Uint8Array,
    algorithm: "sha256" | "sha512" = "sha256",
  ): Promise<Descriptor> {
    const bytes = Buffer.from(data);
    const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
    const started = await this.fetch("POST", `/v2/${name}/blobs/uploads/?digest-algorithm=${algorithm}`);
    const location = started.headers.get("location") ?? "";
    const done = await this.fetch("PUT", `${location}?digest=${digest}`, { body: bytes });
    if (done.status !== 201) throw new Error(`pushing a blob: ${done.status} ${await done.text()}`);
    return { mediaType: MEDIA.ociLayerGzip, digest, size: bytes.length };
  }

  async pushManifest(name: string, manifest: object, reference?: string): Promise<Descriptor> {
    const bytes = Buffer.from(JSON.stringify(manifest));
    const mediaType = (manifest as { mediaType?: string }).mediaType ?? MEDIA.ociManifest;
    const digest = digestOf(bytes);
    const path = `/v2/${name}/manifests/${reference ?? digest}`;
    const done = await this.fetch("PUT", path, { body: bytes, headers: { "Content-Type": mediaType } });
    if (done.status !== 201) throw new Error(`pushing a manifest: ${done.status} ${await done.text()}`);
    return { mediaType, digest, size: bytes.length };
  }

  async pushImage(
    name: string,
    reference: string | undefined,
    content: string,
    more: object = {},
  ): Promise<Descriptor> {
    const config = { ...(await this.pushBlob(name, JSON.stringify({ content }))), mediaType: MEDIA.ociConfig };
    const layers = [await this.pushBlob(name, content)];
    const image = { schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers, ...more };
    return await this.pushManifest(name, image, reference);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
