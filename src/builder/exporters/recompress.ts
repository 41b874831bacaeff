import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { constants, createZstdCompress } from "node:zlib";
import { decompress } from "../../base/decompress.ts";
import { gzip } from "../../base/gzip.ts";
import { newId } from "../../base/ids.ts";
import type { Lease } from "../../images/images.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import type { Toolkit } from "../toolkit.ts";
import type { Compression, ImageWish } from "./wish.ts";

export interface Recompressing {
  readonly tools: Pick<Toolkit, "content" | "digests">;
  readonly lease: Lease;
  readonly signal: AbortSignal;
  readonly log: (text: string) => void;
}

const TYPES: Readonly<Record<Compression, { readonly oci: string; readonly docker: string }>> = {
  uncompressed: { oci: MEDIA.ociLayer, docker: MEDIA.dockerLayer },
  gzip: { oci: MEDIA.ociLayerGzip, docker: MEDIA.dockerLayerGzip },
  zstd: { oci: MEDIA.ociLayerZstd, docker: MEDIA.dockerLayerZstd },
};

/** Post-condition: content has the layer as it is wished, held by the lease; the same bytes each time. Other kinds of layers stay as they are. */
export async function recompress(parts: Recompressing, layer: Descriptor, wish: ImageWish): Promise<Descriptor> {
  const now = compressionOf(layer.mediaType);
  if (now === undefined) return layer;
  const { compression = now, force } = wish;
  const wanted = now === "uncompressed" || force ? compression : now;
  const mediaType = TYPES[wanted][wish.oci ? "oci" : "docker"];
  if (wanted === now) return { ...layer, mediaType };
  const { digest, size } = await converted(parts, layer, wanted, wish.level);
  return { mediaType, digest, size };
}

function compressionOf(mediaType: string): Compression | undefined {
  for (const [name, { oci, docker }] of Object.entries(TYPES))
    if (mediaType === oci || mediaType === docker) return name as Compression;
  return undefined;
}

type Blob = Pick<Descriptor, "digest" | "size">;

/** What it came to before, if that is still here. */
async function converted(
  { tools, lease, signal, log }: Recompressing,
  layer: Descriptor,
  wanted: Compression,
  level: number | undefined,
): Promise<Blob> {
  const { content, digests } = tools;
  const memo = `packed:${wanted}:${level ?? ""} layers`;
  const [digest = ""] = digests.get(memo, layer.digest)?.split(" ") ?? [];
  if (digest !== "") {
    await lease.hold([digest]);
    const known = content.info(digest);
    if (known !== undefined) return { digest, size: known.size };
  }
  log(`converting ${layer.digest} to ${wanted}`);
  const ingest = await content.ingest(`convert-${newId()}`);
  try {
    const source = createReadStream(content.path(layer.digest), { highWaterMark: 1 << 20, signal });
    // A plain tar may begin as anything.
    const plain = compressionOf(layer.mediaType) === "uncompressed" ? source : decompress(source);
    for await (const chunk of WRITERS[wanted](plain, level)) await ingest.write(chunk);
    const made = await lease.store(() => ingest.commit());
    digests.set(memo, layer.digest, `${made.digest} ${made.size}`);
    return made;
  } catch (error) {
    await ingest.abort();
    throw error;
  }
}

type Writer = (plain: AsyncIterable<Buffer>, level: number | undefined) => AsyncIterable<Buffer>;

const WRITERS: Readonly<Record<Compression, Writer>> = {
  uncompressed: (plain) => plain,
  gzip: (plain, level) => gzip(plain, level),
  zstd: (plain, level) => {
    const params = level === undefined ? {} : { [constants.ZSTD_c_compressionLevel]: level };
    return Readable.from(plain, { objectMode: false }).compose(createZstdCompress({ params })) as AsyncIterable<Buffer>;
  },
};
