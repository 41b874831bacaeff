/** What a stage comes to, as an image's documents. */
import { type Digest, digestOf } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor, ImageConfigFile, ImageHistory, ImageRunConfig, Platform } from "../../oci/types.ts";
import type { BuiltImage } from "../builder.ts";
import type { LayeredTree } from "../tree.ts";

/** What an image says besides its tree. */
export interface Portrait {
  /** The base image's file; undefined for scratch. */
  readonly base: ImageConfigFile | undefined;
  readonly platform: Platform;
  readonly config: ImageRunConfig;
  readonly author: string | undefined;
  /** One for each of the tree's steps, in order: history's words. */
  readonly words: readonly ((note: string) => string)[];
  /** A further field of the configuration: an inline cache. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
  /** What history says of one more step at the end, which put all layers into one. */
  readonly squashed?: string | undefined;
  /** RFC 3339; the last step's time when missing. */
  readonly created: string | undefined;
}

/** The configuration file's bytes: the same for the same portrait and tree. */
export function configBytes(portrait: Portrait, tree: LayeredTree): Buffer {
  return Buffer.from(JSON.stringify(configFile(portrait, tree)));
}

function configFile(portrait: Portrait, tree: LayeredTree): ImageConfigFile {
  const { base, platform, config, author, words, squashed, created, extra } = portrait;
  const { architecture, variant, os } = platform;
  const steps = tree.steps.map(
    ({ createdAt, layer, note }, at): ImageHistory => ({
      created: createdAt,
      ...(at < words.length && { created_by: words[at]?.(note) ?? "" }),
      ...(author !== undefined && { author }),
      ...(at >= words.length && squashed !== undefined && { comment: squashed }),
      ...(layer === undefined && { empty_layer: true }),
    }),
  );
  return {
    architecture,
    variant,
    os,
    ...(base?.["os.version"] !== undefined && { "os.version": base["os.version"] }),
    created: created ?? tree.steps.at(-1)?.createdAt ?? base?.created,
    author: author ?? base?.author,
    config: present(config),
    rootfs: { type: "layers", diff_ids: tree.layers.map(({ diffId }) => diffId) },
    history: [...(base?.history ?? []), ...steps],
    ...extra,
  };
}

/** Without fields that say nothing, in one order. */
function present(config: ImageRunConfig): ImageRunConfig {
  const fields = ORDER.flatMap((name) => (isEmpty(config[name]) ? [] : [[name, config[name]] as const]));
  return Object.fromEntries(fields) as ImageRunConfig;
}

const ORDER = [
  "User",
  "ExposedPorts",
  "Env",
  "Entrypoint",
  "Cmd",
  "Healthcheck",
  "ArgsEscaped",
  "Volumes",
  "WorkingDir",
  "OnBuild",
  "Labels",
  "StopSignal",
  "Shell",
] as const satisfies readonly (keyof ImageRunConfig)[];

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === "" || value === null) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

export function imageIdOf(portrait: Portrait, tree: LayeredTree): Digest {
  return digestOf(configBytes(portrait, tree));
}

export function drawImage(portrait: Portrait, tree: LayeredTree): BuiltImage {
  const config = configBytes(portrait, tree);
  const id = digestOf(config);
  const layers = tree.layers.map(({ blob }) => blob);
  const manifestBytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      config: { mediaType: MEDIA.ociConfig, digest: id, size: config.length },
      layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    }),
  );
  const manifest = { mediaType: MEDIA.ociManifest, digest: digestOf(manifestBytes), size: manifestBytes.length };
  return Object.freeze({
    platform: portrait.platform,
    id,
    manifest,
    manifestBytes,
    config: JSON.parse(config.toString()) as ImageConfigFile,
    configBytes: config,
    layers,
    chainId: tree.chainId,
  });
}

/** Over the images of several platforms. */
export function indexOf(
  images: readonly BuiltImage[],
  {
    mediaType = MEDIA.ociIndex,
    annotations,
  }: { readonly mediaType?: string; readonly annotations?: Readonly<Record<string, string>> | undefined } = {},
): { readonly bytes: Buffer; readonly descriptor: Descriptor } {
  const manifests = images.map(({ manifest, platform }) => ({ ...manifest, platform }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests, annotations }));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}
