/** What a registry has under a name, without fetching it: `GET /distribution/{name}/json`. */
import { isIndexType } from "../oci/media-types.ts";
import type { Platform } from "../oci/types.ts";
import { LIMITS, parseIndex, parseJsonObject, parseManifest } from "../oci/validate.ts";
import type { Distribution, Repository } from "./remote.ts";

/** The manifest is read, and of a single image its configuration, which alone says the platform. */
export async function inspectDistribution(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<Distribution> {
  const { tag = "latest", digest } = repository.reference;
  const { descriptor, bytes } = await repository.manifest(digest === undefined ? { tag } : { digest }, signal);
  const what = `manifest ${descriptor.digest}`;
  if (isIndexType(descriptor.mediaType)) {
    const { manifests } = parseIndex(bytes, what);
    return { descriptor, platforms: manifests.flatMap(({ platform }) => platform ?? []) };
  }
  const { config } = parseManifest(bytes, what);
  if (config.size > LIMITS.configBytes) return { descriptor, platforms: [] };
  const chunks: Buffer[] = [];
  const write = async (chunk: Uint8Array) => void chunks.push(Buffer.from(chunk));
  await repository.fetch(config, { offset: 0, write }, { signal });
  return { descriptor, platforms: platformOf(Buffer.concat(chunks), config.digest) };
}

function platformOf(bytes: Buffer, digest: string): Platform[] {
  try {
    const { os, architecture, variant } = parseJsonObject(bytes, `configuration ${digest}`, LIMITS.configBytes);
    if (typeof os !== "string" || typeof architecture !== "string" || os === "") return [];
    return [{ os, architecture, ...(typeof variant === "string" && variant !== "" && { variant }) }];
  } catch {
    return [];
  }
}
