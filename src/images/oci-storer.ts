import { EngineError } from "../base/errors.ts";
import { isImageConfigType, isIndexType, isManifestType } from "../oci/media-types.ts";
import { platformMatches } from "../oci/platform.ts";
import type { Descriptor, ImageManifest, Platform } from "../oci/types.ts";
import { LIMITS, parseImageConfig, parseIndex, parseManifest } from "../oci/validate.ts";
import { blobPath, type Spool } from "./spool.ts";

/**
 * Puts what an OCI layout's descriptors reach into content: documents, configurations, layers. What an index names and the archive
 * lacks is left out; of the rest only what is of the wanted platforms.
 */
export class OciStorer {
  readonly #spool: Spool;
  readonly #wanted: readonly Platform[];
  readonly #seen = new Set<string>();
  /** How many manifests are images of the wanted platforms. */
  images = 0;

  constructor(spool: Spool, wanted: readonly Platform[]) {
    this.#spool = spool;
    this.#wanted = wanted;
  }

  /** "invalid" when the archive lacks it. */
  async store(descriptor: Descriptor): Promise<void> {
    if (isIndexType(descriptor.mediaType)) await this.#index(descriptor, 0);
    else await this.#manifest(descriptor, true);
  }

  async #index(descriptor: Descriptor, depth: number): Promise<void> {
    if (depth > LIMITS.indexDepth)
      throw new EngineError(
        "invalid",
        `invalid archive: indexes lie more than ${LIMITS.indexDepth} deep in each other`,
      );
    const { manifests } = parseIndex(await this.#document(descriptor), `index ${descriptor.digest}`);
    await this.#spool.blob(descriptor.digest);
    for (const child of manifests) {
      if (this.#seen.has(child.digest) || !this.#spool.has(blobPath(child.digest))) continue;
      this.#seen.add(child.digest);
      if (this.#seen.size > LIMITS.manifests)
        throw new EngineError("invalid", `invalid archive: more than ${LIMITS.manifests} manifests`);
      if (isIndexType(child.mediaType)) await this.#index(child, depth + 1);
      else await this.#manifest(child, false);
    }
  }

  async #manifest(descriptor: Descriptor, isRequired: boolean): Promise<void> {
    if (!isManifestType(descriptor.mediaType) && descriptor.mediaType !== "") {
      await this.#blob(descriptor, isRequired);
      return;
    }
    const manifest = parseManifest(await this.#document(descriptor), `manifest ${descriptor.digest}`);
    if (!(await this.#isWanted(descriptor, manifest))) return;
    for (const blob of [descriptor, manifest.config, ...manifest.layers]) await this.#blob(blob, isRequired);
  }

  async #isWanted({ annotations, platform }: Descriptor, { config }: ImageManifest): Promise<boolean> {
    if (this.#wanted.length === 0 || annotations?.["vnd.docker.reference.type"] !== undefined) return true;
    if (!isImageConfigType(config.mediaType)) return false;
    const isKnown = platform !== undefined && platform.os !== "" && platform.architecture !== "";
    const actual = isKnown ? platform : parseImageConfig(await this.#document(config, LIMITS.configBytes));
    const fits = this.#wanted.some((platform) => platformMatches(platform, actual));
    if (fits) this.images++;
    return fits;
  }

  /** What the archive left out may be stored already. */
  async #blob(descriptor: Descriptor, isRequired: boolean): Promise<void> {
    const stored = await this.#spool.blob(descriptor.digest);
    if (stored !== undefined) checkSize(descriptor, stored.size);
    else if (isRequired)
      throw new EngineError(
        "invalid",
        `invalid archive: it has no file ${JSON.stringify(blobPath(descriptor.digest))}`,
      );
  }

  async #document(descriptor: Descriptor, limit: number = LIMITS.manifestBytes): Promise<Buffer> {
    const bytes = await this.#spool.bytes(blobPath(descriptor.digest), limit);
    checkSize(descriptor, bytes.length);
    return bytes;
  }
}

function checkSize({ digest, size }: Descriptor, actual: number): void {
  if (size !== actual)
    throw new EngineError("invalid", `invalid archive: blob ${digest} has ${actual} bytes, expected ${size}`);
}
