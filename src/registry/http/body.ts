/** Request bodies: their announced length, and small ones as a whole. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { EngineError } from "../../base/errors.ts";
import type { RegistryError } from "../errors.ts";

interface Pair {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Bytes; undefined for a body of unknown length. Node refuses what is no number. */
export function contentLength(request: IncomingMessage): number | undefined {
  const text = request.headers["content-length"];
  if (text !== undefined) return Number(text);
  return request.headers["transfer-encoding"] === undefined ? 0 : undefined;
}

/** The request, ready to be read: a client that waits for leave to send gets it. */
export function bodyOf({ request, response }: Pair): IncomingMessage {
  if (/\b100-continue\b/i.test(request.headers.expect ?? "")) response.writeContinue();
  return request;
}

/** Throws what `tooLarge` makes, having read little more than `limit` bytes; the request stays open then, for the answer. */
export function readBody(pair: Pair, limit: number, tooLarge: () => RegistryError): Promise<Buffer> {
  if ((contentLength(pair.request) ?? 0) > limit) return Promise.reject(tooLarge());
  const body = bodyOf(pair);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const gone = () => reject(new EngineError("cancelled", "the client went away before the end of the body"));
    // It may be over already, and is not told again.
    if (body.destroyed && !body.readableEnded) return gone();
    const take = (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= limit) return;
      body.off("data", take).pause();
      reject(tooLarge());
    };
    body
      .on("data", take)
      .once("end", () => resolve(Buffer.concat(chunks)))
      .once("close", gone)
      .on("error", reject);
  });
}
