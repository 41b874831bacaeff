/** Brings the blobs of a chosen image into content and its layers into snapshots. */
import type { Digest } from "../base/digest.ts";
import { chainIds } from "../oci/chain.ts";
import type { Descriptor } from "../oci/types.ts";
import type { Repository } from "../remote/remote.ts";
import type { Lease } from "./images.ts";
import type { PullOptions } from "./pull.ts";
import type { ChosenImage } from "./pull-plan.ts";
import { LayerLines } from "./pull-words.ts";
import type { Workshop } from "./workshop.ts";

export interface Fetching {
  readonly shop: Workshop;
  readonly lease: Lease;
  readonly repository: Repository;
  readonly chosen: ChosenImage;
  readonly options: PullOptions;
}

/** Post-condition: everything that the image needs is stored, unpacked, and held by the lease. */
export async function fetchImage({ shop, lease, repository, chosen, options }: Fetching): Promise<void> {
  const { content, snapshots } = shop;
  for (const { bytes } of [...chosen.indexes, chosen.manifest]) await lease.store(() => content.put(bytes));
  await lease.store(() => content.put(chosen.config.bytes));
  const chain = chainIds(chosen.config.file.rootfs.diff_ids);
  await lease.hold([...chain, ...chosen.layers.map(({ digest }) => digest)]);
  const lines = chosen.layers.map((layer) => new LayerLines(layer, options.onProgress));
  for (const line of lines) line.announce();
  await Promise.all(
    chosen.layers.map((layer, at) => bring(shop, repository, { layer, line: lines[at] as LayerLines, options })),
  );
  const inputs = chosen.layers.map(({ digest }, at) => ({
    diffId: chosen.config.file.rootfs.diff_ids[at] as Digest,
    parent: chain[at - 1],
    source: { path: content.path(digest) },
  }));
  await snapshots.unpack(inputs, {
    ...(options.signal !== undefined && { signal: options.signal }),
    onProgress: (at, bytes) => lines[at]?.extracting(bytes),
  });
  for (const line of lines) line.complete();
}

async function bring(
  { content, downloads }: Workshop,
  repository: Repository,
  { layer, line, options: { signal } }: { layer: Descriptor; line: LayerLines; options: PullOptions },
): Promise<void> {
  if (content.info(layer.digest) !== undefined) return line.exists();
  const ingest = await content.ingest(`pull-${layer.digest}`, { resume: true });
  try {
    let at = ingest.offset;
    const write = async (chunk: Uint8Array) => {
      await ingest.write(chunk);
      at += chunk.length;
      line.downloading(at);
    };
    await downloads.run(() => repository.fetch(layer, { offset: ingest.offset, write }, { signal }), signal);
    await ingest.commit({ digest: layer.digest, size: layer.size });
    line.downloaded();
  } catch (error) {
    await ingest.close();
    throw error;
  }
}
