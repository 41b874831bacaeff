/**
 * Manifest lists that were begun and not pushed, in the docker CLI's own place and form: a folder for each list below
 * `manifests/` of the configuration, a JSON file for each image in it.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OCIDescriptor, OCIPlatform } from "../../api/types/image.ts";
import type { RegistryManifest } from "../../client/images.ts";
import { isIndexType, MEDIA } from "../../oci/media-types.ts";
import { normalisedName, parseReference, withDefaultTag } from "../../oci/reference.ts";
import { ExitError } from "../command.ts";
import type { Context } from "../context.ts";
import { authHeader } from "./credentials.ts";
import { checkedName, splitImage } from "./name.ts";

/** Normalised, with a tag where none is given. Throws docker's words for what is no name, after those of `refusal`. */
export function fullName(name: string, refusal = ""): string {
  return normalisedName(withDefaultTag(parseReference(checkedName(name, refusal))));
}

export function hasList(context: Context, list: string): boolean {
  return existsSync(folderOf(context, list));
}

/** Sorted by name; empty when there is no such list. */
export function readList(context: Context, list: string): RegistryManifest[] {
  const folder = folderOf(context, list);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).sort();
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as RegistryManifest);
}

export function readMember(context: Context, list: string, member: string): RegistryManifest | undefined {
  const file = join(folderOf(context, list), safe(member));
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as RegistryManifest) : undefined;
}

export function writeMember(context: Context, list: string, { Ref, Descriptor, Raw }: RegistryManifest): void {
  const folder = folderOf(context, list);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const manifest: unknown = JSON.parse(Buffer.from(Raw, "base64").toString());
  const kind = Descriptor.mediaType === MEDIA.ociManifest ? "OCIManifest" : "SchemaV2Manifest";
  const file = join(folder, safe(Ref));
  writeFileSync(`${file}.new`, JSON.stringify({ Ref, Descriptor: inOrder(Descriptor), Raw, [kind]: manifest }));
  renameSync(`${file}.new`, file);
}

export function removeList(context: Context, list: string): void {
  if (!hasList(context, list)) throw new ExitError(1, `No such manifest: ${list}`);
  rmSync(folderOf(context, list), { recursive: true });
}

/** From the registry. Throws "no such manifest". */
export async function fetchManifest(context: Context, name: string, insecure: boolean): Promise<RegistryManifest> {
  const auth = authHeader(context, splitImage(name).repo);
  try {
    return await context.client.images.registryManifest(name, { auth, insecure });
  } catch (error) {
    if ((error as { kind?: unknown }).kind !== "not-found") throw error;
    throw new ExitError(1, `no such manifest: ${name}`);
  }
}

/** A single image's; throws for a list. */
export async function fetchSingle(context: Context, name: string, insecure: boolean): Promise<RegistryManifest> {
  const manifest = await fetchManifest(context, name, insecure);
  if (isIndexType(manifest.Descriptor.mediaType ?? "")) throw new ExitError(1, `${name} is a manifest list`);
  return manifest;
}

/** The list as it is pushed: the same text as docker's. */
export function listText(mediaType: string, descriptors: readonly OCIDescriptor[]): string {
  const manifests = descriptors.map(({ mediaType: type, size, digest, annotations, platform }) => ({
    mediaType: type,
    size,
    digest,
    ...(annotations && { annotations }),
    platform: platformInOrder(platform),
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 3);
}

/** Members in docker's order. */
export function inOrder({ mediaType, digest, size, platform }: OCIDescriptor): OCIDescriptor {
  return { mediaType, digest, size, ...(platform && { platform: platformInOrder(platform) }) };
}

function platformInOrder(platform: OCIPlatform | undefined): OCIPlatform {
  const { architecture = "", os = "", variant } = platform ?? {};
  const [version, features] = [platform?.["os.version"], platform?.["os.features"]];
  return {
    architecture,
    os,
    ...(version !== undefined && { "os.version": version }),
    ...(features !== undefined && { "os.features": features }),
    ...(variant !== undefined && { variant }),
  };
}

function folderOf({ configFolder }: Context, list: string): string {
  return join(configFolder, "manifests", safe(list));
}

/** As docker makes a name safe for a file. */
function safe(name: string): string {
  return name.replaceAll(":", "-").replaceAll("/", "_");
}
