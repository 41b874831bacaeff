/** Request bodies: their announced length, and small ones as a whole. */
import type { IncomingMessage, ServerResponse } from "node:http";
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

/** Throws what `tooLarge` makes, having read no more than `limit` bytes. */
export async function readBody(pair: Pair, limit: number, tooLarge: () => RegistryError): Promise<Buffer> {
  if ((contentLength(pair.request) ?? 0) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bodyOf(pair) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
