/** A file as the body of a request. */
import { createReadStream, type ReadStream, statSync } from "node:fs";
import { errnoOf } from "../base/errors.ts";

/** Throws in docker's words when it is not there. */
export function readFile(path: string): ReadStream {
  try {
    statSync(path);
  } catch (error) {
    const why = errnoOf(error) === "EACCES" ? "permission denied" : "no such file or directory";
    throw new Error(`open ${path}: ${why}`, { cause: error });
  }
  // Big pieces: they go to a socket.
  return createReadStream(path, { highWaterMark: 1 << 20 });
}
