/** Layers that were made here lie in content as plain tars: they go to a registry compressed. */
import { createReadStream } from "node:fs";
import { digestOf } from "../base/digest.ts";
import { gzip } from "../base/gzip.ts";
import { newId } from "../base/ids.ts";
import type { Content } from "../content/content.ts";
import { MEDIA } from "../oci/media-types.ts";
import type { Descriptor } from "../oci/types.ts";
import { parseManifest } from "../oci/validate.ts";
import type { RemoteManifest } from "../remote/remote.ts";
import type { Lease } from "./images.ts";

const COMPRESSED: Readonly<Record<string, string>> = {
  [MEDIA.ociLayer]: MEDIA.ociLayerGzip,
  [MEDIA.dockerLayer]: MEDIA.dockerLayerGzip,
};

export function hasPlainLayers(blobs: readonly Descriptor[]): boolean {
  return blobs.some(({ mediaType }) => mediaType in COMPRESSED);
}

/**
 * The same image with every plain layer as gzip: another manifest, the same configuration and so the same image id; the same bytes each
 * time. The new blobs are in content, held by the lease. `onLayer` hears how much of a layer has been read.
 */
export async function compressLayers(
  content: Content,
  lease: Lease,
  manifest: RemoteManifest,
  {
    signal,
    onLayer,
  }: { readonly signal?: AbortSignal | undefined; readonly onLayer?: (layer: Descriptor, bytes: number) => void },
): Promise<RemoteManifest> {
  const parsed = parseManifest(manifest.bytes, `manifest ${manifest.descriptor.digest}`);
  const layers: Descriptor[] = [];
  // One after another: each keeps all processors busy.
  for (const layer of parsed.layers) {
    const mediaType = COMPRESSED[layer.mediaType];
    if (mediaType === undefined) layers.push(layer);
    else {
      const packed = await compress(content, lease, layer, signal, onLayer);
      layers.push({ ...layer, mediaType, ...packed });
    }
  }
  const original = JSON.parse(manifest.bytes.toString()) as object;
  const bytes = Buffer.from(JSON.stringify({ ...original, layers }));
  await lease.store(() => content.put(bytes));
  return { descriptor: { ...manifest.descriptor, digest: digestOf(bytes), size: bytes.length }, bytes };
}

async function compress(
  content: Content,
  lease: Lease,
  layer: Descriptor,
  signal: AbortSignal | undefined,
  onLayer: ((layer: Descriptor, bytes: number) => void) | undefined,
): Promise<{ digest: string; size: number }> {
  const ingest = await content.ingest(`push-${newId()}`);
  try {
    const source = createReadStream(content.path(layer.digest), { highWaterMark: 1 << 20, ...(signal && { signal }) });
    let read = 0;
    source.on("data", (chunk) => {
      read += chunk.length;
      onLayer?.(layer, read);
    });
    source.pause();
    for await (const chunk of gzip(source)) await ingest.write(chunk);
    const { digest, size } = await lease.store(() => ingest.commit());
    return { digest, size };
  } catch (error) {
    await ingest.abort();
    throw error;
  }
}
