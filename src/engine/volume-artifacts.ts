/** Volumes in registries: an OCI artifact with one layer, a tar compressed by zstd. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress } from "node:zlib";
import type { Volume } from "../api/types/volume.ts";
import { type Digest, digestOf } from "../base/digest.ts";
import { explainDiskFull } from "../base/disk-full.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { MEDIA } from "../oci/media-types.ts";
import { familiarName, parseReference, type Reference, withDefaultTag } from "../oci/reference.ts";
import type { Descriptor } from "../oci/types.ts";
import { parseManifest } from "../oci/validate.ts";
import type { BlobSource, Credentials, Remote, Repository } from "../remote/remote.ts";
import type { Paths } from "../store/paths.ts";
import type { Volumes } from "../volumes/volumes.ts";

const ARTIFACT = "application/vnd.gantry.volume.v1";
const LAYER = `${ARTIFACT}.tar+zstd`;
/** The OCI image specification's empty descriptor: an artifact without a configuration. */
const EMPTY = Buffer.from("{}");

export interface ArtifactParts {
  readonly paths: Paths;
  readonly remote: Remote;
  readonly volumes: Volumes;
  /** A tar of what the volume holds at one moment. */
  readonly exportVolume: (name: string) => Promise<Readable>;
}

export interface ArtifactOptions {
  readonly credentials?: Credentials | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((line: { readonly status: string }) => void) | undefined;
}

/** Post-condition: the registry has what the volume held at one moment under the reference; the digest of its manifest. */
export async function pushVolume(
  parts: ArtifactParts,
  name: string,
  target: string,
  { credentials, signal, onProgress = () => {} }: ArtifactOptions,
): Promise<Digest> {
  const reference = taggedReference(target);
  const repository = parts.remote.repository(reference, { credentials, access: "push" });
  const file = parts.paths.temporary("volume", newId());
  try {
    onProgress({ status: `Preparing ${name}` });
    const digest = await pack(await parts.exportVolume(name), file, signal);
    const { size } = statSync(file);
    onProgress({ status: `Pushing ${size} bytes to ${familiarName(reference)}` });
    await repository.send(
      { digest, size, open: (start, end) => createReadStream(file, { start, end: end - 1 }) },
      { signal },
    );
    await repository.send(inMemory(EMPTY), { signal });
    const manifest = manifestOf(name, { mediaType: LAYER, digest, size });
    await repository.putManifest({ tag: reference.tag ?? "" }, manifest, signal);
    onProgress({ status: `${reference.tag}: digest: ${manifest.descriptor.digest} size: ${manifest.descriptor.size}` });
    return manifest.descriptor.digest;
  } catch (error) {
    throw explainDiskFull(error, `the volume ${name} could not be pushed`);
  } finally {
    rmSync(file, { force: true });
  }
}

/** Makes the volume, or fills an empty one. "invalid" for what is no volume; nothing is changed then. */
export async function pullVolume(
  parts: ArtifactParts,
  source: string,
  name: string,
  { credentials, signal, onProgress = () => {} }: ArtifactOptions,
): Promise<Volume> {
  const reference = taggedReference(source);
  const repository = parts.remote.repository(reference, { credentials, access: "pull" });
  const layer = await layerOf(repository, reference, signal);
  const file = parts.paths.temporary("volume", newId());
  try {
    onProgress({ status: `Pulling ${layer.size} bytes from ${familiarName(reference)}` });
    await fetchTo(file, repository, layer, signal);
    const volume = await parts.volumes.import({ Name: name }, createReadStream(file), signal);
    onProgress({ status: `Made volume ${name} from ${familiarName(reference)}` });
    return volume;
  } catch (error) {
    throw explainDiskFull(error, `the volume ${name} could not be pulled`);
  } finally {
    rmSync(file, { force: true });
  }
}

function taggedReference(text: string): Reference {
  return withDefaultTag(parseReference(text));
}

/** Compresses the tar into the file; the digest of what was written. */
async function pack(tar: Readable, file: string, signal: AbortSignal | undefined): Promise<Digest> {
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  const steps = [tar, createZstdCompress(), hashing, createWriteStream(file, { mode: 0o600 })] as const;
  await pipeline(...steps, signal === undefined ? {} : { signal });
  return `sha256:${hash.digest("hex")}`;
}

function inMemory(bytes: Buffer): BlobSource {
  return {
    digest: digestOf(bytes),
    size: bytes.length,
    open: (start, end) => Readable.from([bytes.subarray(start, end)]),
  };
}

function manifestOf(name: string, layer: Descriptor) {
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    artifactType: ARTIFACT,
    config: { mediaType: MEDIA.ociEmpty, digest: digestOf(EMPTY), size: EMPTY.length },
    layers: [layer],
    annotations: {
      "org.opencontainers.image.created": new Date().toISOString(),
      "org.opencontainers.image.title": name,
    },
  };
  const bytes = Buffer.from(JSON.stringify(document));
  return { bytes, descriptor: { mediaType: MEDIA.ociManifest, digest: digestOf(bytes), size: bytes.length } };
}

async function layerOf(
  repository: Repository,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const { digest, tag = "" } = reference;
  const { bytes, descriptor } = await repository.manifest(digest === undefined ? { tag } : { digest }, signal);
  const wrong = () =>
    new EngineError("invalid", `${familiarName(reference)} is no volume`, {
      hint: `volumes come from gantry volume push; images are pulled by gantry pull`,
    });
  if (descriptor.mediaType !== MEDIA.ociManifest) throw wrong();
  const { artifactType, layers } = parseManifest(bytes);
  const [layer] = layers;
  if (artifactType !== ARTIFACT || layer === undefined || layers.length !== 1) throw wrong();
  return layer;
}

/** "invalid" when the registry gives other bytes than those that were asked for. */
async function fetchTo(
  path: string,
  repository: Repository,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash("sha256");
  await using file = await open(path, "w", 0o600);
  let offset = 0;
  const sink = {
    get offset() {
      return offset;
    },
    async write(chunk: Uint8Array) {
      hash.update(chunk);
      await file.writeFile(chunk);
      offset += chunk.length;
    },
  };
  await repository.fetch(layer, sink, { signal });
  const digest = `sha256:${hash.digest("hex")}`;
  if (digest !== layer.digest)
    throw new EngineError("invalid", `the registry gave ${digest} for ${layer.digest}`, {
      hint: "the registry's copy is damaged, or something on the way changes it",
    });
}
