import type { Duplex, Writable } from "node:stream";

/** Resolves when the stream takes more, or never will. */
export function drained(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.once("drain", done).once("close", done);
  });
}

/** A connection whose other side closed its half is over: HTTP/2 has no use for the other, and sockets of this server would keep it. */
export function whenOver(connection: Duplex, end: () => void): void {
  const over = () => {
    connection.off("end", over).off("close", over);
    end();
    connection.destroy();
  };
  connection.once("end", over).once("close", over);
  if (connection.destroyed) over();
  // What came before anyone listened is told of when the stream is asked.
  else connection.read(0);
}
