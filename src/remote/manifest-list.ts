/** Manifest lists that are made of manifests which registries have: `gantry manifest`. Nothing of them is stored here. */

import { once } from "node:events";
import { PassThrough, type Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { digestOf } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { isIndexType, isManifestType, MEDIA } from "../oci/media-types.ts";
import { normalisedName, type Reference, repositoryOf, withDefaultTag } from "../oci/reference.ts";
import type { Descriptor, Platform } from "../oci/types.ts";
import { parseManifest } from "../oci/validate.ts";
import type { BlobSource, Credentials, Remote, RemoteManifest, Repository } from "./remote.ts";

export interface ListMember {
  /** With the manifest's digest. */
  readonly reference: Reference;
  /** As it will stand in the list, with a platform. */
  readonly descriptor: Descriptor;
}

export interface PushListOptions {
  readonly credentials?: Credentials | undefined;
  /** Plain HTTP and unknown certificates are accepted too. */
  readonly insecure?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A member's manifest is in the target's repository. */
  readonly onPushed?: ((reference: Reference) => void) | undefined;
}

/**
 * Post-condition: the target's repository has every member, with its blobs, and the list under the target's tag. "invalid" for
 * members of another registry, without a platform, or which are lists themselves.
 */
export async function pushList(
  remote: Remote,
  target: Reference,
  members: readonly ListMember[],
  options: PushListOptions,
): Promise<Descriptor> {
  checkMembers(target, members);
  const { credentials, insecure, signal, onPushed } = options;
  const to = remote.repository(target, { credentials, insecure, access: "push" });
  for (const { reference, descriptor } of members) {
    const from = remote.repository(reference, { credentials, insecure, access: "pull" });
    const manifest = await from.manifest({ digest: descriptor.digest }, signal);
    const isElsewhere = repositoryOf(reference) !== repositoryOf(target);
    if (isElsewhere) await copyBlobs(manifest, { from, to, mountFrom: reference.path, signal });
    await to.putManifest({ digest: descriptor.digest }, manifest, signal);
    onPushed?.({ domain: target.domain, path: target.path, digest: descriptor.digest });
  }
  const list = makeList(members.map(({ descriptor }) => descriptor));
  const { tag = "latest" } = withDefaultTag(target);
  await to.putManifest({ tag }, list, signal);
  return list.descriptor;
}

function checkMembers(target: Reference, members: readonly ListMember[]): void {
  if (members.length === 0) throw new EngineError("invalid", "a manifest list needs at least one manifest");
  for (const { reference, descriptor } of members) {
    const name = normalisedName(reference);
    if (reference.domain !== target.domain)
      throw new EngineError(
        "invalid",
        `cannot use source images from a different registry than the target image: ${reference.domain} != ${target.domain}`,
      );
    if (isIndexType(descriptor.mediaType)) throw new EngineError("invalid", `${name} is a manifest list`);
    const { os = "", architecture = "" } = descriptor.platform ?? {};
    if (os === "" || architecture === "")
      throw new EngineError("invalid", `manifest ${name} must have an OS and Architecture to be pushed to a registry`);
  }
}

interface Copying {
  readonly from: Repository;
  readonly to: Repository;
  readonly mountFrom: string;
  readonly signal: AbortSignal | undefined;
}

async function copyBlobs({ bytes, descriptor }: RemoteManifest, { from, to, mountFrom, signal }: Copying) {
  if (!isManifestType(descriptor.mediaType)) return;
  const { config, layers } = parseManifest(bytes, `manifest ${descriptor.digest}`);
  for (const blob of [config, ...layers])
    await to.send(sourceOf(from, blob, signal), { mountFrom: [mountFrom], signal });
}

/** The blob as the other repository sends it: for a registry that mounts nothing. */
function sourceOf(from: Repository, blob: Descriptor, signal: AbortSignal | undefined): BlobSource {
  return { digest: blob.digest, size: blob.size, open: (start, end) => relayed(from, blob, { start, end, signal }) };
}

function relayed(
  from: Repository,
  blob: Descriptor,
  { start, end, signal }: { readonly start: number; readonly end: number; readonly signal: AbortSignal | undefined },
): Readable {
  const through = new PassThrough();
  const enough = new AbortController();
  let left = end - start;
  const write = async (chunk: Uint8Array) => {
    const piece = chunk.subarray(0, left);
    left -= piece.length;
    if (!through.write(piece)) await Promise.race([once(through, "drain"), finished(through)]);
    if (left === 0) enough.abort();
  };
  const stop = signal === undefined ? enough.signal : AbortSignal.any([signal, enough.signal]);
  from.fetch(blob, { offset: start, write }, { signal: stop }).then(
    () => through.end(),
    (error: unknown) => (left === 0 ? through.end() : through.destroy(error as Error)),
  );
  through.once("close", () => enough.abort());
  return through;
}

/** The same bytes as Docker's client makes of the same members: OCI's index when the first is OCI's, else Docker's list. */
function makeList(members: readonly Descriptor[]): RemoteManifest {
  const mediaType = members[0]?.mediaType === MEDIA.ociManifest ? MEDIA.ociIndex : MEDIA.dockerList;
  const manifests = members.map((member) => ({
    mediaType: member.mediaType,
    size: member.size,
    digest: member.digest,
    platform: platformInOrder(member.platform),
  }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 3));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

function platformInOrder(platform: Platform | undefined): unknown {
  const { architecture, os, variant } = platform ?? { architecture: "", os: "" };
  return {
    architecture,
    os,
    "os.version": platform?.["os.version"],
    "os.features": platform?.["os.features"],
    variant,
  };
}
