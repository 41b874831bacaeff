/** Docker's multiplexed stream: 8-byte headers {stream, 0, 0, 0, length as big-endian uint32} before each piece. */
import { EngineError } from "../base/errors.ts";

export interface StreamSink {
  /** Returns or resolves when more may come. */
  write(stream: "stdout" | "stderr", bytes: Buffer): void | Promise<void>;
}

/** Resolves at the stream's end. A frame of stream 3 is the daemon's error: thrown. What one read brought is passed on at once, neighbours of one stream as one piece. */
export async function demultiplex(source: AsyncIterable<Buffer>, sink: StreamSink): Promise<void> {
  let held: Buffer = Buffer.alloc(0);
  let left = 0;
  let kind = 1;
  let systemError = "";
  // Short lines come as many small frames: joined in place, they cost a copy each instead of a write.
  const piece = new Piece();
  const flush = async () => {
    const bytes = piece.take();
    if (bytes.length > 0) await sink.write(piece.kind === 2 ? "stderr" : "stdout", bytes);
  };
  for await (const chunk of source) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let at = 0;
    for (;;) {
      if (left === 0) {
        if (held.length - at < 8) break;
        kind = held[at] ?? 0;
        left = held.readUInt32BE(at + 4);
        at += 8;
        if (kind > 3) throw new EngineError("internal", `Unrecognized input header: ${kind}`);
      }
      if (at >= held.length) break;
      const part = held.subarray(at, at + left);
      at += part.length;
      left -= part.length;
      if (kind === 3) systemError += part.toString("utf8");
      else {
        if (piece.kind !== kind) await flush();
        piece.add(kind, held, at - part.length, at);
      }
      if (kind !== 3 || left > 0) continue;
      await flush();
      throw new EngineError("internal", `error from daemon in stream: ${systemError}`);
    }
    await flush();
    held = held.subarray(at);
  }
}

/** Payloads of one buffer moved together, over the headers between them. */
class Piece {
  kind = 1;
  #buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  add(kind: number, buffer: Buffer, from: number, to: number): void {
    if (this.#start === this.#end || buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#start = from;
      this.#end = to;
    } else {
      buffer.copyWithin(this.#end, from, to);
      this.#end += to - from;
    }
    this.kind = kind;
  }

  take(): Buffer {
    const bytes = this.#buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return bytes;
  }
}
