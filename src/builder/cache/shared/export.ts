import { createReadStream, rmSync, writeFileSync } from "node:fs";
import { digestOf } from "../../../base/digest.ts";
import { gzip } from "../../../base/gzip.ts";
import { newId } from "../../../base/ids.ts";
import type { Lease } from "../../../images/images.ts";
import { MEDIA } from "../../../oci/media-types.ts";
import type { Descriptor } from "../../../oci/types.ts";
import type { Toolkit } from "../../toolkit.ts";
import { CACHE_CONFIG, documentOf, type KeptStep } from "./format.ts";
import type { CachePlace } from "./places.ts";

/** What plain layers' digests become is remembered under this name. */
const PACKED = "gzip layers";

export interface CacheExport {
  readonly tools: Toolkit;
  readonly lease: Lease;
  readonly place: CachePlace;
  readonly steps: readonly KeptStep[];
  readonly signal: AbortSignal;
  readonly log: (text: string) => void;
}

/** Post-condition: the place has all blobs, and its tag names a manifest of them. What it has already is not sent again. */
export async function exportCache(request: CacheExport): Promise<void> {
  const { place, steps, signal, log } = request;
  const document = documentOf(steps);
  const plain = new Map(
    steps.flatMap(({ made: { layer } }) => (layer === undefined ? [] : [[layer.diffId, layer.blob]])),
  );
  const layers: Descriptor[] = [];
  for (const diffId of document.layers) {
    const blob = plain.get(diffId);
    if (blob === undefined) throw new Error(`no blob for ${diffId}`);
    log(`sending ${blob.digest}`);
    layers.push(await sendLayer(request, blob));
  }
  const config = await sendText(request, JSON.stringify(document));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    artifactType: CACHE_CONFIG,
    config: { mediaType: CACHE_CONFIG, ...config },
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = { mediaType: MEDIA.ociManifest, digest: digestOf(bytes), size: bytes.length };
  log(`writing the cache's manifest ${descriptor.digest}`);
  await place.putManifest({ descriptor, bytes }, signal);
}

/** Plain layers travel compressed, the same bytes each time; what they came to is remembered. */
async function sendLayer({ tools, lease, place, signal }: CacheExport, blob: Descriptor): Promise<Descriptor> {
  const { content, digests } = tools;
  if (blob.mediaType !== MEDIA.ociLayer) {
    if (!(await place.has(blob.digest, signal))) await place.send(blob, content.path(blob.digest), signal);
    return blob;
  }
  const mediaType = MEDIA.ociLayerGzip;
  const [digest = "", size = ""] = digests.get(PACKED, blob.digest)?.split(" ") ?? [];
  const known = { mediaType, digest, size: Number(size) };
  if (digest !== "" && (await place.has(digest, signal))) return known;
  const ingest = await content.ingest(`cache-${newId()}`);
  try {
    const source = createReadStream(content.path(blob.digest), { highWaterMark: 1 << 20, signal });
    for await (const chunk of gzip(source)) await ingest.write(chunk);
    const packed = await lease.store(() => ingest.commit());
    digests.set(PACKED, blob.digest, `${packed.digest} ${packed.size}`);
    const descriptor = { mediaType, digest: packed.digest, size: packed.size };
    await place.send(descriptor, content.path(packed.digest), signal);
    return descriptor;
  } catch (error) {
    await ingest.abort();
    throw error;
  }
}

async function sendText(
  { tools, place, signal }: CacheExport,
  text: string,
): Promise<Pick<Descriptor, "digest" | "size">> {
  const blob = { digest: digestOf(text), size: Buffer.byteLength(text) };
  const file = tools.content.spare(`cache-${newId()}`);
  writeFileSync(file, text);
  try {
    await place.send({ mediaType: CACHE_CONFIG, ...blob }, file, signal);
    return blob;
  } finally {
    rmSync(file, { force: true });
  }
}
