/** ADD from a URL: one file in a folder. */
import { createHash } from "node:crypto";
import { createWriteStream, mkdirSync, utimesSync } from "node:fs";
import { join, posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { explainDiskFull } from "../../base/disk-full.ts";
import { EngineError, errnoOf, errorMessage } from "../../base/errors.ts";
import { withoutPassword } from "../../base/urls.ts";
import type { Remote } from "../../remote/remote.ts";
import type { OpContext } from "../graph/graph.ts";
import { cancelled } from "../graph/slots.ts";

export interface DownloadRequest {
  readonly url: string;
  /** Does not exist yet. */
  readonly folder: string;
  /** What the file is called there. */
  readonly name: string;
  /** "sha256:…"; compared when given. */
  readonly checksum: string | undefined;
}

/** The last part of the URL's path; undefined when it has none. */
export function fileNameOf(url: string): string | undefined {
  const { pathname } = new URL(url);
  const name = posix.basename(decodeURIComponent(pathname));
  return name === "" || name === "/" || name === "." || name === ".." || name.includes("\0") ? undefined : name;
}

/** Post-condition: the folder holds the file, mode 0600, with the time that Last-Modified said (1970 without). */
export async function downloadFile(
  remote: Remote,
  { url, folder, name, checksum }: DownloadRequest,
  { signal, transfer }: OpContext,
): Promise<void> {
  const hash = createHash("sha256");
  let current = 0;
  mkdirSync(folder);
  const file = join(folder, name);
  try {
    const { body, size: total, modifiedAt = 0 } = await remote.download(new URL(url), signal);
    const count = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        current += chunk.length;
        transfer({ id: "download", current, total, completed: false });
        yield chunk;
      }
    };
    await pipeline(body, count, createWriteStream(file, { flags: "wx", mode: 0o600 }), { signal });
    transfer({ id: "download", current, total, completed: true });
    checkDigest(url, `sha256:${hash.digest("hex")}`, checksum);
    utimesSync(file, 0, modifiedAt / 1000);
  } catch (error) {
    throw explain(url, error, signal);
  }
}

function explain(url: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return cancelled(signal);
  if (errnoOf(error) === "ENOSPC" || errnoOf(error) === "EDQUOT")
    return explainDiskFull(error, `downloading ${withoutPassword(url)}`);
  if (error instanceof EngineError && error.kind === "invalid") return error;
  return new EngineError("invalid", `unable to download ${withoutPassword(url)}: ${errorMessage(error)}`, {
    cause: error,
  });
}

function checkDigest(url: string, actual: string, expected: string | undefined): void {
  if (expected === undefined || expected === actual) return;
  throw new EngineError("invalid", `digest mismatch for ${withoutPassword(url)}: ${actual} (expected: ${expected})`);
}
