/** Image archives made in code: Docker archives, OCI layouts, and both at once, good and bad. */
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "../base/digest.ts";
import { TarWriter } from "../base/tar/writer.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import type { Descriptor } from "../oci/types.ts";

export type TarFile = readonly [
  path: string,
  content: string | Buffer | { readonly link: string } | { readonly hardLink: string },
];

export async function makeTar(files: readonly TarFile[]): Promise<Buffer> {
  const writer = new TarWriter();
  const chunks = Array.fromAsync(writer.stream as AsyncIterable<Buffer>);
  for (const [path, content] of files) {
    if (typeof content === "string" || Buffer.isBuffer(content)) await writer.add({ path }, content);
    else if ("link" in content) await writer.add({ path, type: "symlink", linkPath: content.link });
    else await writer.add({ path, type: "hardlink", linkPath: content.hardLink });
  }
  await writer.finish();
  return Buffer.concat(await chunks);
}

export function streamOf(bytes: Buffer, chunkSize = 65536): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.subarray(at, at + chunkSize);
    })(),
    { objectMode: false },
  );
}

export interface TestImage {
  readonly id: string;
  readonly config: Buffer;
  /** As stored in the archive, lowest first. */
  readonly layers: readonly Buffer[];
  readonly diffIds: readonly string[];
}

export interface TestImageOptions {
  /** One layer for each; its plain tar holds one file of this text. */
  readonly layers?: readonly string[];
  readonly compress?: "gzip" | "zstd" | undefined;
  readonly config?: Record<string, unknown>;
  /** Replaces fields of the configuration file. */
  readonly file?: Record<string, unknown>;
}

export async function makeImage({
  layers = ["hello"],
  compress,
  config = {},
  file = {},
}: TestImageOptions = {}): Promise<TestImage> {
  const plain = await Promise.all(layers.map((text, at) => makeTar([[`file${at}`, text]])));
  const diffIds = plain.map((tar) => digestOf(tar));
  const bytes = Buffer.from(
    JSON.stringify({
      ...HOST_PLATFORM,
      created: "2024-05-06T07:08:09.5Z",
      config: { Env: ["PATH=/bin"], Cmd: ["sh"], ...config },
      rootfs: { type: "layers", diff_ids: diffIds },
      history: layers.map((text) => ({ created: "2024-05-06T07:08:09.5Z", created_by: `ADD ${text}` })),
      ...file,
    }),
  );
  const pack = {
    gzip: (tar: Buffer) => gzipSync(tar),
    zstd: (tar: Buffer) => zstdCompressSync(tar),
    none: (tar: Buffer) => tar,
  };
  return { id: digestOf(bytes), config: bytes, layers: plain.map(pack[compress ?? "none"]), diffIds };
}

/** What `docker save` wrote before it wrote OCI layouts. */
export function dockerFiles(images: readonly (readonly [image: TestImage, ...tags: string[]])[]): TarFile[] {
  const files = new Map<string, TarFile>();
  const manifest = images.map(([image, ...tags]) => {
    const paths = image.layers.map((layer) => `${digestOf(layer).slice(7)}/layer.tar`);
    for (const [at, layer] of image.layers.entries()) files.set(paths[at] ?? "", [paths[at] ?? "", layer]);
    files.set(image.id, [`${image.id.slice(7)}.json`, image.config]);
    return { Config: `${image.id.slice(7)}.json`, RepoTags: tags, Layers: paths };
  });
  return [...files.values(), ["manifest.json", JSON.stringify(manifest)]];
}

export interface OciEntry {
  readonly image: TestImage;
  readonly annotations?: Record<string, string>;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

export function ociManifest({ config, layers }: TestImage): Buffer {
  const describe = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const typeOf = (layer: Buffer) =>
    layer[0] === 0x1f ? MEDIA.ociLayerGzip : layer[0] === 0x28 ? MEDIA.ociLayerZstd : MEDIA.ociLayer;
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      config: describe(MEDIA.ociConfig, config),
      layers: layers.map((layer) => describe(typeOf(layer), layer)),
    }),
  );
}

export function blobFile(bytes: Buffer): TarFile {
  return [`blobs/sha256/${digestOf(bytes).slice(7)}`, bytes];
}

export function ociDescriptor({ image, annotations, platform }: OciEntry): Descriptor {
  const manifest = ociManifest(image);
  return {
    mediaType: MEDIA.ociManifest,
    digest: digestOf(manifest),
    size: manifest.length,
    ...(annotations !== undefined && { annotations }),
    ...(platform !== undefined && { platform }),
  };
}

export function ociBlobs(images: readonly TestImage[]): TarFile[] {
  return images.flatMap((image) => [ociManifest(image), image.config, ...image.layers].map(blobFile));
}

export function ociIndex(manifests: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }));
}

export const OCI_LAYOUT_FILE: TarFile = ["oci-layout", '{"imageLayoutVersion":"1.0.0"}'];

export function ociFiles(entries: readonly OciEntry[]): TarFile[] {
  return [
    OCI_LAYOUT_FILE,
    ["index.json", ociIndex(entries.map(ociDescriptor))],
    ...ociBlobs(entries.map(({ image }) => image)),
  ];
}
