/** `/v2/<name>/referrers/<digest>`: what the repository's manifests say about one. */
import { isDigest } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import { checkAnyDigest } from "../names.ts";
import type { Exchange } from "./exchange.ts";
import { linkTo } from "./lists.ts";
import { sendJson } from "./reply.ts";

/** Bytes of descriptors in one answer: what any client takes for a manifest. */
const PAGE_BYTES = 3 << 20;

/** Never 404: what has no referrers has an empty list. */
export async function listReferrers(exchange: Exchange): Promise<void> {
  const { response, query, name, params } = exchange;
  const subject = checkAnyDigest(params.digest ?? "");
  const wanted = query.get("artifactType");
  const last = query.get("last") ?? "";
  const manifests: Descriptor[] = [];
  let bytes = 0;
  let next: URLSearchParams | undefined;
  for await (const descriptor of referrersOf(exchange, subject)) {
    if (descriptor.digest <= last || (wanted !== null && descriptor.artifactType !== wanted)) continue;
    bytes += JSON.stringify(descriptor).length;
    if (bytes > PAGE_BYTES && manifests.length > 0) {
      next = new URLSearchParams({
        ...(wanted !== null && { artifactType: wanted }),
        last: manifests.at(-1)?.digest ?? "",
      });
      break;
    }
    manifests.push(descriptor);
  }
  sendJson(
    response,
    200,
    { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests },
    {
      "Content-Type": MEDIA.ociIndex,
      ...(wanted !== null && { "OCI-Filters-Applied": "artifactType" }),
      ...linkTo(`/v2/${name}/referrers/${subject}`, next),
    },
  );
}

/** As the upstream of a copy says; in the order of their digests. */
async function* referrersOf({ storage, cache, name }: Exchange, subject: string): AsyncIterable<Descriptor> {
  const upstream = isDigest(subject) ? await cache.referrers(name, subject) : undefined;
  if (upstream !== undefined) return yield* upstream;
  for (const digest of await storage.repositories.referrers(name, subject)) {
    const descriptor = await storage.repositories.referrer(name, subject, digest);
    if (descriptor !== undefined) yield descriptor;
  }
}
