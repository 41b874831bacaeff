import type { Digest } from "../base/digest.ts";
import { EngineError } from "../base/errors.ts";
import { familiarName, normalisedName, parseReference, type Reference, repositoryOf } from "../oci/reference.ts";
import type { Platform } from "../oci/types.ts";
import type { Credentials, Repository } from "../remote/remote.ts";
import type { Progress } from "./images.ts";
import { fetchBlobs } from "./pull-image.ts";
import { planPull } from "./pull-plan.ts";
import { explainPull } from "./pull-words.ts";
import { enterRecord, prepareRecord } from "./record.ts";
import { publish, type Workshop, withLease } from "./workshop.ts";

export interface PullOptions {
  /** "all": an image with several is kept whole, with what lies beside them. */
  readonly platform?: Platform | "all" | undefined;
  readonly credentials?: Credentials | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (line: Progress) => void;
}

/**
 * Post-condition: the image, or with a name without tag and digest every tag of the repository, is there, verified and unpacked. What
 * could not be had is not there under any name, and nothing of it stays.
 */
export async function pull(shop: Workshop, name: string, options: PullOptions): Promise<void> {
  const reference = parseReference(name);
  const repository = shop.remote.repository(reference, { credentials: options.credentials, access: "pull" });
  try {
    for await (const one of wanted(repository, options)) await pullOne(shop, repository, one, options);
  } catch (error) {
    throw explainPull(error, reference, options.credentials);
  }
}

/** Every tag when none is named. */
async function* wanted(repository: Repository, { signal }: PullOptions): AsyncGenerator<Reference> {
  const { reference } = repository;
  if (reference.digest !== undefined || reference.tag !== undefined) return yield reference;
  const { domain, path } = reference;
  let found = false;
  for await (const tag of repository.tags(signal)) {
    found = true;
    yield { domain, path, tag };
  }
  if (!found) throw new EngineError("not-found", `the repository ${repositoryOf(reference)} has no tags`);
}

async function pullOne(
  shop: Workshop,
  repository: Repository,
  reference: Reference,
  options: PullOptions,
): Promise<void> {
  const { onProgress } = options;
  const which = reference.digest === undefined ? { tag: reference.tag ?? "latest" } : { digest: reference.digest };
  await withLease(shop, async (lease) => {
    // Before the first line, so that what is not there is an answer and not an end of progress.
    const plan = await planPull({ repository, content: shop.content, lease }, which, options);
    onProgress({ status: `Pulling from ${repository.reference.path}`, id: reference.digest ?? reference.tag });
    const before = shop.catalog.name(normalisedName(reference))?.target.digest;
    await fetchBlobs({ shop, lease, repository, plan, options });
    const descriptor = plan.top;
    const recording = { target: descriptor, names: namesOf(reference, descriptor.digest), unpack: false };
    const prepared = await prepareRecord(shop, lease, { ...recording, signal: options.signal });
    shop.catalog.durable(() => enterRecord(shop, prepared, recording));
    publish(
      shop,
      "pull",
      familiarName(reference) as Digest,
      familiarName({ ...reference, tag: undefined, digest: undefined }),
    );
    onProgress({ status: `Digest: ${descriptor.digest}` });
    const fresh = before !== descriptor.digest;
    const shown = familiarName(reference);
    onProgress({
      status: fresh ? `Status: Downloaded newer image for ${shown}` : `Status: Image is up to date for ${shown}`,
    });
  });
}

/** The tag that was asked for, and the digest as a name. */
function namesOf({ domain, path, tag, digest }: Reference, found: Digest): Reference[] {
  const byDigest = { domain, path, digest: found };
  return tag === undefined || digest !== undefined ? [byDigest] : [{ domain, path, tag }, byDigest];
}
