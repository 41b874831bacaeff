/** `/v2/<name>/manifests/<tag or digest>`. */
import { createHash } from "node:crypto";
import { type Digest, digestOf } from "../../base/digest.ts";
import { RegistryError } from "../errors.ts";
import { MANIFEST_LIMIT, readManifest } from "../manifest.ts";
import { deleteManifest, deleteTag, findManifest, pushManifest } from "../manifests.ts";
import { checkDigest, isTag, parseReference, type Reference } from "../names.ts";
import type { EventTarget } from "../webhooks/events.ts";
import { readBody } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { sendEmpty } from "./reply.ts";

/** Tags in one push by digest. */
const TAGS_LIMIT = 100;

/** GET and HEAD. */
export async function getManifest({ storage, cache, request, response, name, params }: Exchange): Promise<void> {
  const reference = parseReference(params.reference ?? "");
  const { found, warning, bytes: passing } = reference === undefined ? {} : await cache.manifest(name, reference);
  if (found === undefined) throw unknown(name, params.reference ?? "");
  const headers = {
    "Content-Type": found.mediaType,
    "Docker-Content-Digest": found.digest,
    ETag: `"${found.digest}"`,
    ...(warning !== undefined && { Warning: `299 - "${warning.replace(/["\\\x00-\x1f]/g, "")}"` }),
  };
  if (matches(request.headers["if-none-match"], found.digest)) return sendEmpty(response, 304, headers);
  if (request.method === "HEAD") {
    response.writeHead(200, { ...headers, "Content-Length": found.size }).end();
    return;
  }
  const bytes = passing ?? (await storage.blobs.read(found.digest));
  if (bytes === undefined) throw unknown(name, params.reference ?? "");
  if (storage.writable && passing === undefined) await storage.repositories.useManifest(name, found.digest);
  response.writeHead(200, { ...headers, "Content-Length": bytes.length }).end(bytes);
}

export async function putManifest(exchange: Exchange): Promise<void> {
  const { storage, request, response, name, params, query } = exchange;
  const reference = pushReference(params.reference ?? "");
  const tags = tagsToSet(reference, query.getAll("tag"));
  const bytes = await readBody(exchange, MANIFEST_LIMIT, tooLarge);
  const facts = readManifest(bytes, (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "");
  const digest = checkedDigest(bytes, reference);
  exchange.quotas.guard(name)?.(bytes.length);
  await pushManifest(storage, name, {
    bytes,
    digest,
    facts,
    tags,
    precondition: precondition(exchange),
    loan: exchange.loan,
  });
  const target = { repository: name, digest, mediaType: facts.mediaType, size: bytes.length };
  for (const tag of tags.length === 0 ? [undefined] : tags) await tell(exchange, "push", { ...target, tag });
  sendEmpty(response, 201, {
    Location: `/v2/${name}/manifests/${reference.kind === "tag" ? reference.tag : digest}`,
    "Docker-Content-Digest": digest,
    ...(facts.subject !== undefined && { "OCI-Subject": facts.subject }),
    ...(reference.kind === "digest" && tags.length > 0 && { "OCI-Tag": tags.join(", ") }),
  });
}

/** A tag goes alone, a digest with all its tags. */
export async function removeManifest(exchange: Exchange): Promise<void> {
  const { storage, response, name, params } = exchange;
  const reference = parseReference(params.reference ?? "");
  if (!(await storage.repositories.exists(name)))
    throw new RegistryError("NAME_UNKNOWN", "repository name not known to registry", { detail: { name } });
  const found = reference && (await findManifest(storage, name, reference));
  const removed =
    reference?.kind === "tag"
      ? await deleteTag(storage, name, reference.tag)
      : reference !== undefined && (await deleteManifest(storage, name, reference.digest));
  if (!removed) throw unknown(name, params.reference ?? "");
  if (found !== undefined) {
    const { digest, mediaType, size } = found;
    const tag = reference?.kind === "tag" ? reference.tag : undefined;
    await tell(exchange, "delete", { repository: name, digest, mediaType, size, tag });
  }
  sendEmpty(response, 202);
}

function tell(
  { webhooks, request, actor: { user } }: Exchange,
  action: "push" | "delete",
  target: EventTarget,
): Promise<void> {
  return webhooks.tell({ action, target, request, user });
}

function pushReference(text: string): Reference {
  const reference = parseReference(text);
  if (reference !== undefined) return reference;
  if (text.includes(":")) checkDigest(text);
  throw new RegistryError("MANIFEST_INVALID", `${JSON.stringify(text.slice(0, 200))} is neither a tag nor a digest`);
}

function tagsToSet(reference: Reference, more: readonly string[]): string[] {
  if (more.length > TAGS_LIMIT)
    throw new RegistryError("UNSUPPORTED", `${more.length} tags in one request, at most ${TAGS_LIMIT}`, {
      status: 414,
    });
  for (const tag of more)
    if (!isTag(tag)) throw new RegistryError("MANIFEST_INVALID", `invalid tag ${JSON.stringify(tag.slice(0, 200))}`);
  return [...new Set(reference.kind === "tag" ? [reference.tag] : more)];
}

function checkedDigest(bytes: Buffer, reference: Reference): Digest {
  if (reference.kind === "tag") return digestOf(bytes);
  const [algorithm = ""] = reference.digest.split(":");
  const actual = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  if (actual === reference.digest) return actual;
  throw new RegistryError("DIGEST_INVALID", `the manifest has the digest ${actual}, not ${reference.digest}`, {
    detail: { expected: reference.digest, actual },
  });
}

/** RFC 9110, section 13: for clients that change a tag only if nobody else did. */
function precondition({ request: { headers } }: Exchange): ((current: Digest | undefined) => boolean) | undefined {
  const { "if-match": wanted, "if-none-match": unwanted } = headers;
  if (wanted === undefined && unwanted === undefined) return undefined;
  return (current) =>
    (wanted === undefined || (current !== undefined && matches(wanted, current))) &&
    (unwanted === undefined || current === undefined || !matches(unwanted, current));
}

function matches(header: string | undefined, digest: Digest): boolean {
  if (header === undefined) return false;
  return header.split(",").some((item) => ["*", `"${digest}"`, digest].includes(item.trim().replace(/^W\//, "")));
}

function tooLarge(): RegistryError {
  return new RegistryError("MANIFEST_INVALID", `manifests have at most ${MANIFEST_LIMIT} bytes`, { status: 413 });
}

function unknown(name: string, reference: string): RegistryError {
  return new RegistryError("MANIFEST_UNKNOWN", "manifest unknown", {
    detail: { name, reference: reference.slice(0, 300) },
  });
}
