/** How commands on this machine reach the process that writes a root: a socket in it, for those who may write there. */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import { EngineError, errnoOf, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Collected } from "./gc/collect.ts";

export interface CollectWish {
  /** Milliseconds. */
  readonly grace?: number | undefined;
  readonly dryRun?: boolean | undefined;
}

/** unix(7): bytes of a socket's path. */
const PATH_LIMIT = 107;

/** For the holder of the root's lock. Where the path is too long for a socket there is none. */
export async function openControl(
  path: string,
  collect: (wish: CollectWish) => Promise<Collected>,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  if (Buffer.byteLength(path) > PATH_LIMIT) {
    logger.log("debug", "no control socket: its path would be too long", { path });
    return { close: async () => {} };
  }
  const server = createServer(async (asked, answer) => {
    try {
      answer.end(JSON.stringify(await collect((await json(asked)) as CollectWish)));
    } catch (error) {
      answer.writeHead(500).end(JSON.stringify({ message: errorMessage(error) }));
    }
  });
  rmSync(path, { force: true });
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
  } finally {
    process.umask(umask);
  }
  chmodSync(path, 0o600);
  return {
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What the process that writes the root has collected; undefined when there is none. */
export async function askToCollect(path: string, wish: CollectWish): Promise<Collected | undefined> {
  try {
    const answer = await post(path, JSON.stringify(wish));
    const body = (await json(answer)) as Collected & { readonly message?: string };
    if (answer.statusCode === 200) return body;
    throw new EngineError("internal", body.message ?? "the registry could not collect");
  } catch (error) {
    if (["ENOENT", "ECONNREFUSED"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

function post(socketPath: string, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ socketPath, method: "POST", path: "/collect" }, resolve).once("error", reject).end(body);
  });
}
