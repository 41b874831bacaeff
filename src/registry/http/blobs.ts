/** `/v2/<name>/blobs/<digest>`. */
import type { Digest } from "../../base/digest.ts";
import { RegistryError } from "../errors.ts";
import { SHARES } from "../lend.ts";
import { checkDigest } from "../names.ts";
import type { Exchange } from "./exchange.ts";
import { parseRange } from "./ranges.ts";
import { sendEmpty } from "./reply.ts";
import { sendFile } from "./send-file.ts";

/** A blob never changes. Seconds. */
const MAX_AGE = 365 * 24 * 3600;

export async function headBlob(exchange: Exchange): Promise<void> {
  const digest = checkDigest(exchange.params.digest ?? "");
  const size = await sizeOf(exchange, digest);
  if (size === undefined) throw unknown(digest);
  const { response, loan, name, storage } = exchange;
  const isShared = loan !== undefined && (await storage.repositories.hasBlob(name, digest));
  const shares = isShared ? { [SHARES]: loan.token } : {};
  response.writeHead(200, { ...headersOf(digest), ...shares, "Content-Length": size }).end();
}

async function sizeOf(
  { storage, cache, name, auth, actor, loan }: Exchange,
  digest: Digest,
): Promise<number | undefined> {
  const { repositories, writable } = storage;
  // A push that finds it here will need it in a moment; one that a collection takes just now is not here.
  const isKept = !writable || (await repositories.touchBlob(name, digest));
  const here = isKept ? await repositories.blobSize(name, digest) : await cache.blobSize(name, digest);
  // What is lent needs no sending; the manifest takes it.
  return here ?? (auth.may(actor, name, "push") ? await loan?.size(digest) : undefined);
}

export async function getBlob({ storage, cache, request, response, name, params }: Exchange): Promise<void> {
  const digest = checkDigest(params.digest ?? "");
  await using source = (await cache.arriving(name, digest)) ?? (await storage.repositories.openBlob(name, digest));
  if (source === undefined) throw unknown(digest);
  if ("leave" in source) response.once("close", () => source.leave());
  const headers = headersOf(digest);
  if (request.headers["if-none-match"]?.includes(digest)) return sendEmpty(response, 304, headers);
  const { size } = "stat" in source ? await source.stat() : source;
  const range = wantsRange(request.headers, digest) ? parseRange(request.headers.range, size) : undefined;
  if (range === "unsatisfiable") return sendEmpty(response, 416, { "Content-Range": `bytes */${size}` });
  const { start, end } = range ?? { start: 0, end: size };
  const extent = range === undefined ? {} : { "Content-Range": `bytes ${start}-${end - 1}/${size}` };
  response.writeHead(range === undefined ? 200 : 206, { ...headers, ...extent, "Content-Length": end - start });
  await sendFile(response, source, { start, end });
}

export async function removeBlob({ storage, response, name, params }: Exchange): Promise<void> {
  const digest = checkDigest(params.digest ?? "");
  const { repositories } = storage;
  if (!(await repositories.alone(name, () => repositories.unlinkBlob(name, digest)))) throw unknown(digest);
  sendEmpty(response, 202);
}

/** A range of another representation than the client has is none. */
function wantsRange(headers: Exchange["request"]["headers"], digest: Digest): boolean {
  const condition = headers["if-range"];
  return condition === undefined || condition === `"${digest}"`;
}

function headersOf(digest: Digest) {
  return {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    "Accept-Ranges": "bytes",
    "Cache-Control": `max-age=${MAX_AGE}, immutable`,
    ETag: `"${digest}"`,
  };
}

function unknown(digest: Digest): RegistryError {
  return new RegistryError("BLOB_UNKNOWN", "blob unknown to registry", { detail: { digest } });
}
