/** A file's bytes to a client: read ahead by one piece, so that the disk and the network work at the same time. */
import type { ServerResponse } from "node:http";
import { EngineError } from "../../base/errors.ts";
import { releaseMemory } from "../../base/release.ts";

const PIECE = 256 << 10;

/** What bytes are read from: a file, or one that is arriving. */
export interface Readable {
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

export interface Part {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Post-condition: the part is sent, and the answer ended. Rejects with "cancelled" when the client goes away. */
export async function sendFile(response: ServerResponse, file: Readable, { start, end }: Part): Promise<void> {
  let spare = Buffer.allocUnsafe(Math.min(PIECE, Math.max(end - start, 1)));
  let sending: { readonly done: Promise<void>; readonly buffer: Buffer<ArrayBuffer> } | undefined;
  for (let at = start; at < end; ) {
    const { bytesRead } = await file.read(spare, 0, Math.min(spare.length, end - at), at);
    if (bytesRead === 0) throw new EngineError("internal", "a blob is shorter than it was");
    await sending?.done;
    const next = sending?.buffer ?? Buffer.allocUnsafe(spare.length);
    sending = { done: write(response, spare.subarray(0, bytesRead)), buffer: spare };
    sending.done.catch(() => {});
    spare = next;
    at += bytesRead;
  }
  await sending?.done;
  for (const buffer of [spare, sending?.buffer ?? spare]) releaseMemory(buffer);
  response.end();
}

function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new EngineError("cancelled", "the client went away"));
    if (response.destroyed || response.closed) return gone();
    response.once("close", gone);
    response.write(bytes, (error) => {
      response.off("close", gone);
      if (error) reject(new EngineError("cancelled", "the client went away", { cause: error }));
      else resolve();
    });
  });
}
