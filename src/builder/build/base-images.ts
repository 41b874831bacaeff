import type { Digest } from "../../base/digest.ts";
import { EngineError, errorKind } from "../../base/errors.ts";
import type { Image, Lease } from "../../images/images.ts";
import { chainIds } from "../../oci/chain.ts";
import { HOST_PLATFORM, platformRank } from "../../oci/platform.ts";
import { familiarName, type Reference } from "../../oci/reference.ts";
import type { Platform } from "../../oci/types.ts";
import { parseManifest } from "../../oci/validate.ts";
import type { Given, RegistryCredentials } from "../builder.ts";
import { credentialsFor } from "../given.ts";
import type { OpContext } from "../graph/graph.ts";
import type { Toolkit } from "../toolkit.ts";
import type { LayeredTree } from "../tree.ts";

export interface BaseImage {
  readonly image: Image;
  readonly tree: LayeredTree;
}

export interface ImageWish {
  readonly reference: Reference;
  readonly platform: Platform;
  /** Somebody asked for this platform: an image of another one will not do. */
  readonly strict: boolean;
}

/** The images that a build starts from, each found or pulled once, and held until the build ends. */
export class BaseImages {
  readonly #tools: Toolkit;
  readonly #lease: Lease;
  readonly #pull: boolean;
  readonly #credentials: Given<RegistryCredentials>;
  readonly #found = new Map<string, Promise<BaseImage>>();

  constructor(
    tools: Toolkit,
    options: {
      readonly lease: Lease;
      readonly pull: boolean;
      readonly credentials: Given<RegistryCredentials>;
    },
  ) {
    this.#tools = tools;
    this.#lease = options.lease;
    this.#pull = options.pull;
    this.#credentials = options.credentials;
  }

  find(wish: ImageWish, context: OpContext): Promise<BaseImage> {
    const { os, architecture, variant = "" } = wish.platform;
    const key = `${familiarName(wish.reference)} ${os}/${architecture}/${variant} ${wish.strict}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const finding = this.#find(wish, context);
    finding.catch(() => {});
    this.#found.set(key, finding);
    return finding;
  }

  async #find(wish: ImageWish, context: OpContext): Promise<BaseImage> {
    const here = this.#pull ? undefined : this.#local(wish);
    if (here !== undefined) return this.#held(here);
    await this.#fetch(wish, context);
    const fetched = this.#local(wish);
    if (fetched !== undefined) return this.#held(fetched);
    throw new EngineError("not-found", `no image ${familiarName(wish.reference)} for ${wish.platform.architecture}`);
  }

  #local({ reference, platform, strict }: ImageWish): Image | undefined {
    const { images } = this.#tools;
    const name = familiarName(reference);
    try {
      return images.get(name, platform);
    } catch (error) {
      if (errorKind(error) !== "not-found") throw error;
    }
    if (strict) return undefined;
    try {
      return images.get(name);
    } catch (error) {
      if (errorKind(error) === "not-found") return undefined;
      throw error;
    }
  }

  async #fetch({ reference, platform }: ImageWish, { signal, transfer }: OpContext): Promise<void> {
    await this.#tools.images.pull(familiarName(reference), {
      platform: platformRank(HOST_PLATFORM, platform) > 0 ? undefined : platform,
      credentials: await this.#credentialsFor(reference, signal),
      signal,
      onProgress: ({ id, status, progressDetail }) => {
        const { current, total } = progressDetail ?? {};
        if (id !== undefined && current !== undefined)
          transfer({ id: `${id} ${status ?? ""}`.trim(), current, total, completed: current === total });
      },
    });
  }

  async #credentialsFor({ domain }: Reference, signal: AbortSignal) {
    const found = await credentialsFor(this.#credentials, domain, signal);
    return found === undefined ? undefined : { ...found };
  }

  /** What the lease holds is asked for again: it may have gone between. */
  async #held(image: Image): Promise<BaseImage> {
    const { content } = this.#tools;
    const manifestOf = async () => parseManifest(await content.read(image.manifest.digest));
    await this.#lease.hold([image.manifest.digest, image.id, ...chainIds(image.config.rootfs.diff_ids)]);
    const { layers } = await manifestOf();
    await this.#lease.hold(layers.map(({ digest }): Digest => digest));
    const refs = image.config.rootfs.diff_ids.map((diffId, at) => {
      const blob = layers[at];
      if (blob === undefined) throw new EngineError("invalid", `image ${image.id} lacks a layer for ${diffId}`);
      return { diffId, blob: { mediaType: blob.mediaType, digest: blob.digest, size: blob.size } };
    });
    return { image, tree: { kind: "layers", chainId: image.chainId, layers: refs, steps: [] } };
  }
}
