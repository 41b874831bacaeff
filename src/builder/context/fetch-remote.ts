/** A context from afar: a Git repository, an archive or a Dockerfile behind a URL. */
import { closeSync, constants, openSync, readlinkSync } from "node:fs";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { EngineError, errnoOf, errorKind, errorMessage } from "../../base/errors.ts";
import { parseGitUrl } from "../../base/git-url.ts";
import { ARCHIVE_HEAD_BYTES, isArchive } from "../../base/tar/recognise.ts";
import { authorized, withoutPassword } from "../../base/urls.ts";
import { checkOut } from "../../kernel/git.ts";
import { fdPath, openIn } from "../../kernel/rooted.ts";
import type { FetchOptions } from "./contexts.ts";
import { MAX_DOCKERFILE } from "./dockerfile-file.ts";
import { receiveTar } from "./receive-tar.ts";

export interface Fetched {
  /** `root`, or the folder below it that was asked for. */
  readonly root: string;
  readonly dockerfile?: string | undefined;
}

/** Post-condition: `root`, an empty folder, holds the files; or the text that was there is the Dockerfile. */
export async function fetchRemote(
  remote: string,
  root: string,
  options: Omit<FetchOptions, "agent"> & { readonly sshAgent?: string | undefined },
): Promise<Fetched> {
  const git = parseGitUrl(remote);
  if (git !== undefined) {
    await checkOut({ ...git, ...options, folder: root });
    return { root: git.folder === "" ? root : folderBelow(root, git.folder, remote) };
  }
  if (!/^https?:\/\//i.test(remote))
    throw new EngineError("invalid", `remote URL ${withoutPassword(remote)} could not be used as a context`, {
      hint: "A context is an http(s) address of an archive or a Dockerfile, or a Git repository (…/name.git, git://…).",
    });
  return { root, ...(await fetchUrl(remote, root, options.signal)) };
}

/** The real place of a folder of a repository; its links stay inside. */
function folderBelow(root: string, path: string, remote: string): string {
  const rootFd = openSync(root, constants.O_DIRECTORY | constants.O_RDONLY);
  try {
    const fd = openIn(rootFd, path, { flags: constants.O_DIRECTORY | constants.O_RDONLY });
    try {
      return readlinkSync(fdPath(fd));
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause;
    throw new EngineError("invalid", `unable to prepare context: ${withoutPassword(remote)} has no folder ${path}`, {
      cause,
    });
  } finally {
    closeSync(rootFd);
  }
}

/** Milliseconds until an answer begins. */
const ANSWER_TIMEOUT = 60_000;

async function fetchUrl(
  url: string,
  root: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly dockerfile?: string }> {
  const body = await open(url, signal);
  const iterator = body.iterator() as AsyncIterator<Buffer>;
  try {
    const head = await readHead(iterator);
    if (isArchive(head)) {
      await receiveTar(Readable.from(joined(head, iterator), { objectMode: false }), root, signal);
      return {};
    }
    return { dockerfile: await readText(head, iterator, url) };
  } catch (error) {
    signal?.throwIfAborted();
    if (errorKind(error) !== "internal" || errnoOf(error)?.startsWith("E")) throw error;
    throw new EngineError("invalid", `unable to download ${withoutPassword(url)}: ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    body.destroy();
  }
}

async function open(url: string, signal: AbortSignal | undefined): Promise<Readable> {
  const waiting = AbortSignal.timeout(ANSWER_TIMEOUT);
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  waiting.addEventListener("abort", stop, { once: true });
  try {
    const { url: address, headers } = authorized(url);
    const response = await fetch(address, {
      signal: controller.signal,
      headers: { ...headers, "Accept-Encoding": "identity" },
    });
    waiting.removeEventListener("abort", stop);
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new EngineError(
        "invalid",
        `failed to GET ${withoutPassword(url)} with status ${response.status} ${response.statusText}`,
      );
    }
    return Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof EngineError) throw error;
    const reason = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new EngineError("invalid", `unable to download ${withoutPassword(url)}: ${errorMessage(reason)}`, {
      cause: error,
    });
  }
}

async function readHead(iterator: AsyncIterator<Buffer>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < ARCHIVE_HEAD_BYTES) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  return head;
}

async function* joined(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  for (let item = await iterator.next(); item.done !== true; item = await iterator.next()) yield item.value;
}

async function readText(head: Buffer, iterator: AsyncIterator<Buffer>, url: string): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of joined(head, iterator)) {
    length += part.length;
    parts.push(part);
    if (length > MAX_DOCKERFILE)
      throw new EngineError(
        "too-large",
        `${withoutPassword(url)} is no archive and has more than ${MAX_DOCKERFILE} bytes`,
      );
  }
  const bytes = Buffer.concat(parts);
  if (bytes.includes(0))
    throw new EngineError("invalid", `${withoutPassword(url)} is neither an archive nor a Dockerfile`);
  return bytes.toString("utf8");
}
