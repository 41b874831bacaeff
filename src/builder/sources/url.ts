/** ADD from a URL: one file in a folder. */
import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync, utimesSync } from "node:fs";
import { join, posix } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { explainDiskFull } from "../../base/disk-full.ts";
import { EngineError, errnoOf, errorMessage } from "../../base/errors.ts";
import type { OpContext } from "../graph/graph.ts";

export interface Download {
  readonly url: string;
  /** Does not exist yet. */
  readonly folder: string;
  /** What the file is called there. */
  readonly name: string;
  /** "sha256:…"; compared when given. */
  readonly checksum: string | undefined;
}

/** Milliseconds until an answer begins. */
const ANSWER_TIMEOUT = 60_000;

/** The last part of the URL's path; undefined when it has none. */
export function fileNameOf(url: string): string | undefined {
  const { pathname } = new URL(url);
  const name = posix.basename(decodeURIComponent(pathname));
  return name === "" || name === "/" || name === "." || name === ".." || name.includes("\0") ? undefined : name;
}

/** Post-condition: the folder holds the file, mode 0600, with the time that Last-Modified said (1970 without). */
export async function download({ url, folder, name, checksum }: Download, context: OpContext): Promise<void> {
  const response = await open(url, context.signal);
  const total = Number(response.headers.get("content-length")) || undefined;
  const hash = createHash("sha256");
  let current = 0;
  const count = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      current += chunk.length;
      context.transfer({ id: "download", current, total, completed: false });
      yield chunk;
    }
  };
  mkdirSync(folder);
  const file = join(folder, name);
  try {
    const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
    await pipeline(body, count, createWriteStream(file, { flags: "wx", mode: 0o600 }), { signal: context.signal });
  } catch (error) {
    if (errnoOf(error) === "ENOSPC" || errnoOf(error) === "EDQUOT") throw explainDiskFull(error, `downloading ${url}`);
    throw failed(url, error, context.signal);
  }
  context.transfer({ id: "download", current, total, completed: true });
  checkDigest(url, `sha256:${hash.digest("hex")}`, checksum);
  const modified = Date.parse(response.headers.get("last-modified") ?? "") / 1000;
  utimesSync(file, 0, Number.isNaN(modified) ? 0 : modified);
}

async function open(url: string, signal: AbortSignal): Promise<Response> {
  const late = AbortSignal.timeout(ANSWER_TIMEOUT);
  const stop = new AbortController();
  const onEnd = () => stop.abort();
  for (const end of [signal, late]) end.addEventListener("abort", onEnd, { once: true });
  let response: Response;
  try {
    response = await fetch(url, { signal: stop.signal, headers: { "Accept-Encoding": "identity" } });
  } catch (error) {
    throw failed(url, late.aborted ? new Error("no answer within 60 seconds") : error, signal);
  }
  // From here on only the build's end may stop it.
  late.removeEventListener("abort", onEnd);
  if (response.ok && response.body !== null) return response;
  await response.body?.cancel();
  throw new EngineError("invalid", `failed to GET ${url} with status ${response.status} ${response.statusText}`.trim());
}

function failed(url: string, error: unknown, signal: AbortSignal): EngineError {
  if (signal.aborted) return new EngineError("cancelled", "the build was cancelled", { cause: error });
  const reason = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return new EngineError("invalid", `unable to download ${url}: ${errorMessage(reason)}`, { cause: error });
}

function checkDigest(url: string, actual: string, expected: string | undefined): void {
  if (expected === undefined || expected === actual) return;
  throw new EngineError("invalid", `digest mismatch for ${url}: ${actual} (expected: ${expected})`);
}
