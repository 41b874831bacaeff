/** `/v2/<name>/blobs/uploads/` and the uploads below it. */
import type { OutgoingHttpHeaders } from "node:http";
import type { Digest } from "../../base/digest.ts";
import { RegistryError } from "../errors.ts";
import { type Algorithm, checkDigest, isName } from "../names.ts";
import { bodyOf, contentLength } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { parseContentRange } from "./ranges.ts";
import { isDiskFull, sendEmpty } from "./reply.ts";

/** Repositories that are searched for a blob whose place the client does not say. */
const SOURCES_LIMIT = 1_000;

/** A mount, a whole blob, or the beginning of an upload. */
export async function startUpload(exchange: Exchange): Promise<void> {
  const { query, storage, name, response, request } = exchange;
  const mount = query.get("mount");
  if (mount !== null && (await mounted(exchange, checkDigest(mount)))) return sendCreated(exchange, mount);
  const digest = query.get("digest");
  const whole = digest !== null && mount === null && contentLength(request) !== 0;
  const id = await storage.uploads.start(name, wantedAlgorithm(query, digest));
  if (!whole) return sendEmpty(response, 202, progress(exchange, id, 0));
  try {
    await append(exchange, id);
    await finish(exchange, id, checkDigest(digest));
  } catch (error) {
    await storage.uploads.cancel(name, id).catch(() => {});
    throw error;
  }
}

export async function uploadStatus(exchange: Exchange): Promise<void> {
  const { storage, name, params, response } = exchange;
  const id = params.id ?? "";
  sendEmpty(response, 204, progress(exchange, id, await storage.uploads.size(name, id)));
}

export async function appendUpload(exchange: Exchange): Promise<void> {
  const id = exchange.params.id ?? "";
  const size = await append(exchange, id);
  sendEmpty(exchange.response, 202, progress(exchange, id, size));
}

export async function finishUpload(exchange: Exchange): Promise<void> {
  const { query, params } = exchange;
  const id = params.id ?? "";
  const digest = query.get("digest");
  if (digest === null) throw new RegistryError("DIGEST_INVALID", "the digest parameter is missing");
  checkDigest(digest);
  if (contentLength(exchange.request) !== 0) await append(exchange, id);
  try {
    await finish(exchange, id, digest);
  } catch (error) {
    if (isDiskFull(error)) await exchange.storage.uploads.cancel(exchange.name, id);
    throw error;
  }
}

export async function cancelUpload({ storage, name, params, response }: Exchange): Promise<void> {
  await storage.uploads.cancel(name, params.id ?? "");
  sendEmpty(response, 204);
}

async function append(exchange: Exchange, id: string): Promise<number> {
  const { request, storage, name, quotas } = exchange;
  const guard = quotas.guard(name);
  const length = contentLength(request);
  const start = startOf(request.headers["content-range"], length);
  try {
    guard?.(length ?? 0);
    return await storage.uploads.append(name, id, {
      body: bodyOf(exchange),
      start,
      length,
      arrived: guard && (() => guard(0)),
    });
  } catch (error) {
    // What does not fit would only take room until it expires.
    if (isDenied(error) || isDiskFull(error)) await storage.uploads.cancel(name, id);
    if (!(error instanceof RegistryError) || error.status !== 416) throw error;
    const { size } = error.detail as { readonly size: number };
    throw new RegistryError(error.code, error.message, { status: 416, headers: progress(exchange, id, size) });
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof RegistryError && error.code === "DENIED";
}

/** Where the chunk says it belongs; undefined when it does not say. */
function startOf(header: string | undefined, length: number | undefined): number | undefined {
  if (header === undefined) return undefined;
  const range = parseContentRange(header);
  if (range === undefined)
    throw new RegistryError("BLOB_UPLOAD_INVALID", `invalid Content-Range ${JSON.stringify(header.slice(0, 200))}`);
  if (length !== undefined && range.last - range.start + 1 !== length)
    throw new RegistryError("SIZE_INVALID", `Content-Range ${header} does not have ${length} bytes`);
  return range.start;
}

async function finish(exchange: Exchange, id: string, digest: Digest): Promise<void> {
  const { storage, name } = exchange;
  const link = (size: number) => storage.repositories.linkHeldBlob(name, digest, size);
  await storage.uploads.finish(name, id, digest, link);
  sendCreated(exchange, digest);
}

/** Without a source, one is looked for. */
async function mounted(exchange: Exchange, digest: Digest): Promise<boolean> {
  const { storage, auth, actor } = exchange;
  const { repositories } = storage;
  const from = exchange.query.get("from");
  const sources = from === null ? (await repositories.names()).slice(0, SOURCES_LIMIT) : [from].filter(isName);
  for (const source of sources.filter((name) => auth.may(actor, name, "pull")))
    if (await repositories.hasBlob(source, digest)) {
      exchange.quotas.guard(exchange.name)?.((await repositories.blobSize(source, digest)) ?? 0);
      return await repositories.linkBlob(exchange.name, digest);
    }
  return (await exchange.loan?.take(exchange.name, digest)) ?? false;
}

function wantedAlgorithm(query: URLSearchParams, digest: string | null): Algorithm {
  const asked = query.get("digest-algorithm") ?? (digest === null ? "sha256" : checkDigest(digest).split(":")[0]);
  if (asked === "sha256" || asked === "sha512") return asked;
  throw new RegistryError("DIGEST_INVALID", `unsupported digest algorithm ${JSON.stringify(asked?.slice(0, 100))}`, {
    hint: "sha256 and sha512 are supported",
  });
}

function sendCreated({ response, name }: Exchange, digest: Digest): void {
  sendEmpty(response, 201, { Location: `/v2/${name}/blobs/${digest}`, "Docker-Content-Digest": digest });
}

/** Nothing so far is written `0-0`, as Docker's registry does. */
function progress({ name }: Exchange, id: string, size: number): Record<string, string> & OutgoingHttpHeaders {
  return {
    Location: `/v2/${name}/blobs/uploads/${id}`,
    "Docker-Upload-UUID": id,
    Range: `0-${Math.max(size - 1, 0)}`,
  };
}
