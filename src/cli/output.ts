/**
 * Standard output and error without streams: written at once and in order, so that nothing is lost at exit, and without
 * the milliseconds that making process.stdout takes.
 */
import { writeSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";

export interface Output {
  readonly fd: number;
  /** Returns when the bytes are in the kernel. A reader that went away ends the process quietly, as SIGPIPE would. */
  write(data: string | Uint8Array): void;
}

const BROKEN_PIPE_EXIT = 141;

export function fileOutput(fd: number): Output {
  return {
    fd,
    write(data) {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      for (let at = 0; at < bytes.length; ) at += writeSome(fd, bytes, at);
    },
  };
}

/** Somebody may have made the terminal or pipe non-blocking: then it is asked again until there is room. */
function writeSome(fd: number, bytes: Uint8Array, at: number): number {
  try {
    return writeSync(fd, bytes, at);
  } catch (error) {
    const code = errnoOf(error);
    if (code === "EPIPE") process.exit(BROKEN_PIPE_EXIT);
    if (code !== "EAGAIN") throw error;
    Atomics.wait(PAUSE, 0, 0, 1);
    return 0;
  }
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4));
