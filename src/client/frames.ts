/** Docker's multiplexed stream: 8-byte headers {stream, 0, 0, 0, length as big-endian uint32} before each piece. */
import { EngineError } from "../base/errors.ts";

export interface StreamSink {
  /** Returns or resolves when more may come. */
  write(stream: "stdout" | "stderr", bytes: Buffer): void | Promise<void>;
}

/** Resolves at the stream's end. A frame of stream 3 is the daemon's error: thrown. Pieces are passed on as they come, not gathered. */
export async function demultiplex(source: AsyncIterable<Buffer>, sink: StreamSink): Promise<void> {
  let held: Buffer = Buffer.alloc(0);
  let left = 0;
  let kind = 1;
  let systemError = "";
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
      else await sink.write(kind === 2 ? "stderr" : "stdout", part);
      if (kind === 3 && left === 0) throw new EngineError("internal", `error from daemon in stream: ${systemError}`);
    }
    held = held.subarray(at);
  }
}
