/** gRPC's messages on a stream: a flag (1 byte; 1 means compressed), a length (4 bytes, big-endian), as many bytes. */
import { EngineError } from "../../base/errors.ts";
import { Pieces } from "./pieces.ts";

const HEADER = 5;
/** Bytes of one message, as gRPC has it by default. What comes in bulk comes in pieces of 32 KiB. */
const MAX_MESSAGE = 4 << 20;

export function frame(body: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(HEADER + body.length);
  whole[0] = 0;
  whole.writeUInt32BE(body.length, 1);
  whole.set(body, HEADER);
  return whole;
}

/** What the streams of one connection may hold of messages that are not whole yet. */
export interface Budget {
  /** Bytes. */
  left: number;
}

export const connectionBudget = (): Budget => ({ left: 32 << 20 });

/** The messages of a stream, each whole. Throws "too-large", and "invalid" for what is cut off or compressed. */
export async function* messagesOf(stream: AsyncIterable<Buffer>, budget = connectionBudget()): AsyncGenerator<Buffer> {
  const held = new Pieces();
  let length = 0;
  let needed = HEADER;
  try {
    for await (const chunk of stream) {
      held.add(chunk);
      length += chunk.length;
      budget.left -= chunk.length;
      if (budget.left < 0) throw new EngineError("too-large", "the calls of the connection hold too many bytes");
      if (length < needed) continue;
      let joined = joinedOf(held.take());
      for (needed = wholeLength(joined); joined.length >= needed; needed = wholeLength(joined)) {
        yield joined.subarray(HEADER, needed);
        joined = joined.subarray(needed);
      }
      held.add(joined);
      budget.left += length - joined.length;
      length = joined.length;
    }
  } finally {
    budget.left += length;
  }
  if (length > 0) throw new EngineError("invalid", "a gRPC stream ended within a message");
}

function joinedOf(pieces: readonly Uint8Array[]): Buffer {
  const [first] = pieces;
  return pieces.length === 1 && Buffer.isBuffer(first) ? first : Buffer.concat(pieces);
}

function wholeLength(bytes: Buffer): number {
  if (bytes.length < HEADER) return HEADER;
  if (bytes[0] !== 0) throw new EngineError("invalid", "compressed gRPC messages are not supported");
  const size = bytes.readUInt32BE(1);
  if (size > MAX_MESSAGE)
    throw new EngineError("too-large", `a gRPC message of ${size} bytes is larger than ${MAX_MESSAGE}`);
  return HEADER + size;
}
