import { chainIdOf } from "../../../base/chain-id.ts";
import { type Digest, digestOf } from "../../../base/digest.ts";
import { EngineError, errorKind, errorMessage } from "../../../base/errors.ts";
import { newId } from "../../../base/ids.ts";
import { isIndexType } from "../../../oci/media-types.ts";
import { HOST_PLATFORM, platformRank } from "../../../oci/platform.ts";
import type { Descriptor } from "../../../oci/types.ts";
import { parseImageConfig, parseIndex, parseManifest } from "../../../oci/validate.ts";
import type { OpContext } from "../../graph/graph.ts";
import { ensureUnpacked } from "../../ops/layers.ts";
import type { Toolkit } from "../../toolkit.ts";
import type { Made, Tree } from "../../tree.ts";
import { CACHE_CONFIG, INLINE_FIELD, MAX_DOCUMENT, parseDocument, type SharedStep, withBlobs } from "./format.ts";
import type { CachePlace } from "./places.ts";

/** What other machines' builds have kept, for one build here. */
export class CacheImports {
  readonly #tools: Toolkit;
  readonly #steps = new Map<Digest, { readonly step: SharedStep; readonly place: CachePlace }>();

  constructor(tools: Toolkit) {
    this.#tools = tools;
  }

  /** Reads what a place has. One that cannot be read is told of, and is no error: the build goes on without it. */
  async read(place: CachePlace, { signal, log }: Pick<OpContext, "signal" | "log">): Promise<void> {
    try {
      for (const step of await readPlace(place, signal))
        if (!this.#steps.has(step.key)) this.#steps.set(step.key, { step, place });
    } catch (error) {
      if (errorKind(error) === "cancelled" || signal.aborted) throw error;
      log(2, Buffer.from(`importing the cache from ${place.name}: ${errorMessage(error)}\n`));
    }
  }

  /** Post-condition: what it gives is stored here, under the key. Undefined when nobody has it, or it could not be fetched. */
  async find(key: Digest, inputs: readonly Tree[], context: OpContext): Promise<Made | undefined> {
    const found = this.#steps.get(key);
    if (found === undefined) return undefined;
    const { step, place } = found;
    try {
      const made = await this.#fetch(step, place, inputs, context);
      this.#tools.steps.put(key, made, step.description);
      return made;
    } catch (error) {
      if (context.signal.aborted) throw error;
      context.log(2, Buffer.from(`importing from ${place.name}: ${errorMessage(error)}\n`));
      return undefined;
    }
  }

  async #fetch(step: SharedStep, place: CachePlace, inputs: readonly Tree[], context: OpContext): Promise<Made> {
    const { snapshots, steps } = this.#tools;
    const { createdAt, note, size, diffId, blob } = step;
    const below = inputs.find((tree) => tree.kind === "layers");
    const parent = below?.chainId;
    if (diffId === undefined || blob === undefined || below === undefined)
      return { createdAt, note, parent, chainId: parent, size: 0 };
    await ensureUnpacked(this.#tools, below, context.signal);
    const chainId = chainIdOf(parent, diffId);
    const pins = [chainId, blob.digest];
    steps.pin(pins);
    try {
      await this.#blob(place, blob, context);
      const source = { path: this.#tools.content.path(blob.digest) };
      await snapshots.unpack([{ diffId, parent, source, digest: blob.digest }], { signal: context.signal });
    } catch (error) {
      steps.unpin(pins);
      throw error;
    }
    const { mediaType, digest, size: blobSize } = blob;
    return { createdAt, note, parent, chainId, size, layer: { diffId, blob: { mediaType, digest, size: blobSize } } };
  }

  async #blob(place: CachePlace, blob: Descriptor, { signal, transfer }: OpContext): Promise<void> {
    const { content } = this.#tools;
    if (content.info(blob.digest) !== undefined) return;
    const ingest = await content.ingest(`cache-${newId()}`);
    let current = 0;
    const sink = {
      get offset() {
        return current;
      },
      write: async (chunk: Uint8Array) => {
        await ingest.write(chunk);
        current += chunk.length;
        transfer({ id: blob.digest, current, total: blob.size, completed: current === blob.size });
      },
    };
    try {
      await place.fetch(blob, sink, signal);
      await ingest.commit({ digest: blob.digest, size: blob.size });
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }
}

async function readPlace(place: CachePlace, signal: AbortSignal): Promise<SharedStep[]> {
  const top = await place.manifest(undefined, signal);
  const { bytes } = isIndexType(top.mediaType) ? await place.manifest(bestOf(top.bytes), signal) : top;
  const { config, layers } = parseManifest(bytes, `the manifest of ${place.name}`);
  const text = await readBlob(place, config, signal);
  const document = JSON.parse(text.toString()) as Record<string, unknown>;
  if (config.mediaType === CACHE_CONFIG) return withBlobs(parseDocument(document), layers);
  if (document[INLINE_FIELD] === undefined) return [];
  const { steps } = parseDocument(document[INLINE_FIELD]);
  const { rootfs } = parseImageConfig(text, `the configuration of ${place.name}`);
  return withBlobs({ layers: rootfs.diff_ids, steps }, layers);
}

function bestOf(bytes: Buffer): Digest {
  const { manifests } = parseIndex(bytes, "the cache's index");
  const rank = ({ platform }: Descriptor) => (platform === undefined ? 0 : platformRank(HOST_PLATFORM, platform));
  return manifests.toSorted((a, b) => rank(b) - rank(a))[0]?.digest ?? "";
}

async function readBlob(place: CachePlace, blob: Descriptor, signal: AbortSignal): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let offset = 0;
  const sink = {
    get offset() {
      return offset;
    },
    write: async (chunk: Uint8Array) => {
      offset += chunk.length;
      if (offset > MAX_DOCUMENT) throw new RangeError("the cache's document is too large");
      parts.push(Buffer.from(chunk));
    },
  };
  await place.fetch(blob, sink, signal);
  const bytes = Buffer.concat(parts);
  if (digestOf(bytes) !== blob.digest) throw new EngineError("invalid", `${blob.digest} from ${place.name} is damaged`);
  return bytes;
}
