/** `/v2/<name>/referrers/<digest>`: what the repository's manifests say about one. */
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import { checkAnyDigest } from "../names.ts";
import type { Exchange } from "./exchange.ts";
import { linkTo } from "./lists.ts";
import { sendJson } from "./reply.ts";

/** Bytes of descriptors in one answer: what any client takes for a manifest. */
const PAGE_BYTES = 3 << 20;

/** Never 404: what has no referrers has an empty list. */
export async function listReferrers({ storage, response, query, name, params }: Exchange): Promise<void> {
  const subject = checkAnyDigest(params.digest ?? "");
  const wanted = query.get("artifactType");
  const last = query.get("last") ?? "";
  const manifests: Descriptor[] = [];
  let bytes = 0;
  let next: URLSearchParams | undefined;
  for (const digest of await storage.repositories.referrers(name, subject)) {
    if (digest <= last) continue;
    const descriptor = await storage.repositories.referrer(name, subject, digest);
    if (descriptor === undefined || (wanted !== null && descriptor.artifactType !== wanted)) continue;
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
