/**
 * Answering a client that is still sending. Many read their answer only when they have sent all, and a connection that closes under
 * what they send reads to them as broken: the answer is lost. Go's server, and so Docker's, takes some of the rest before it answers
 * and waits a moment before it closes; so does this one.
 */
import type { IncomingMessage } from "node:http";

/** Bytes of a body that are taken, unread, before the answer, as Go does. */
const TAKEN = 256 * 1024;

/** Milliseconds that the client gets to send them, and later to read its answer. */
const PATIENCE = 500;

/** Resolves when the body has ended or the bounds are reached; whether it has ended. The rest is still on its way. */
export async function takeLeftover(request: IncomingMessage): Promise<boolean> {
  if (!ended(request)) await flow(request, TAKEN);
  return ended(request);
}

/** Resolves when the client closed, sent all, or had its time: the connection may be closed. What comes is thrown away. */
export async function linger(request: IncomingMessage): Promise<void> {
  if (!ended(request)) await flow(request, Number.POSITIVE_INFINITY);
}

function ended({ complete, destroyed, headers }: IncomingMessage): boolean {
  return (
    complete || destroyed || ((headers["content-length"] ?? "0") === "0" && headers["transfer-encoding"] === undefined)
  );
}

function flow(request: IncomingMessage, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    let left = bytes;
    const timer = setTimeout(done, PATIENCE);
    const count = (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) done();
    };
    request.on("data", count).once("end", done).once("close", done);
    request.resume();
    function done() {
      clearTimeout(timer);
      request.off("data", count).off("end", done).off("close", done);
      request.pause();
      resolve();
    }
  });
}
