import { isIndexType, MEDIA } from "../oci/media-types.ts";
import { formatPlatform } from "../oci/platform.ts";
import { type Reference, tryParseReference } from "../oci/reference.ts";
import type { Descriptor, Platform } from "../oci/types.ts";
import { LIMITS, parseIndex } from "../oci/validate.ts";
import { OciStorer } from "./oci-storer.ts";
import { type PlannedTarget, platformMissing, uniqueReferences } from "./plan.ts";
import type { Spool } from "./spool.ts";

export const OCI_LAYOUT = "oci-layout";
export const OCI_INDEX = "index.json";
export const NAME_ANNOTATION = "io.containerd.image.name";
export const REF_ANNOTATION = "org.opencontainers.image.ref.name";

/**
 * What an OCI layout names, each whole: manifests, indexes with all that the archive has of them, artifacts. With platforms only
 * the images of them; "not-found" when there is none.
 */
export async function planOciLayout(spool: Spool, wanted: readonly Platform[]): Promise<PlannedTarget[]> {
  const index = parseIndex(await spool.bytes(OCI_INDEX, LIMITS.manifestBytes), OCI_INDEX);
  const storer = new OciStorer(spool, wanted);
  const planned = new Map<string, PlannedTarget>();
  for (const group of groupByName(index.manifests)) {
    for (const member of group) await storer.store(member);
    const target = group.length === 1 ? (group[0] as Descriptor) : await makeIndex(spool, group);
    const before = planned.get(target.digest);
    const names = uniqueReferences([...(before?.names ?? []), ...group.flatMap(namesOf)]);
    planned.set(target.digest, { target: bare(target), names, canonical: group.length === 1 });
  }
  if (wanted.length > 0 && storer.images === 0) throw platformMissing(wanted);
  return [...planned.values()];
}

/** Manifests of one name that differ in their platforms are one image. */
function groupByName(manifests: readonly Descriptor[]): Descriptor[][] {
  const groups: Descriptor[][] = [];
  const open = new Map<string, { readonly group: Descriptor[]; readonly platforms: Set<string> }>();
  for (const descriptor of manifests) {
    const name = descriptor.annotations?.[NAME_ANNOTATION] ?? descriptor.annotations?.[REF_ANNOTATION];
    const platform = descriptor.platform === undefined ? undefined : formatPlatform(descriptor.platform);
    const known = name === undefined ? undefined : open.get(name);
    if (known !== undefined && platform !== undefined && !known.platforms.has(platform)) {
      known.group.push(descriptor);
      known.platforms.add(platform);
      continue;
    }
    const group = [descriptor];
    groups.push(group);
    if (name !== undefined && platform !== undefined && !isIndexType(descriptor.mediaType))
      open.set(name, { group, platforms: new Set([platform]) });
  }
  return groups;
}

/**
 * A full name; a bare "latest" names no repository and so no image here. Where both are full, the specification's own goes
 * before containerd's, which tools copy along with an image that they change.
 */
function namesOf({ annotations }: Descriptor): Reference[] {
  const ref = annotations?.[REF_ANNOTATION];
  const text = ref !== undefined && /[/:]/.test(ref) ? ref : annotations?.[NAME_ANNOTATION];
  const reference = text === undefined ? undefined : tryParseReference(text);
  return reference === undefined || reference.digest !== undefined ? [] : [reference];
}

/** An index over manifests that lay side by side: the same for the same manifests. */
async function makeIndex(spool: Spool, group: readonly Descriptor[]): Promise<Descriptor> {
  const manifests = group.map((member) => ({ ...bare(member), platform: member.platform }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }));
  const { digest, size } = await spool.put(bytes);
  return { mediaType: MEDIA.ociIndex, digest, size };
}

/** Names and platforms are the layout's, not the target's own. */
function bare({ mediaType, digest, size, artifactType }: Descriptor): Descriptor {
  const type = mediaType === "" ? MEDIA.ociManifest : mediaType;
  return { mediaType: type, digest, size, ...(artifactType !== undefined && { artifactType }) };
}
