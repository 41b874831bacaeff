/** The bytes of a folder's files, one after another. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Duplex } from "node:stream";
import { EngineError, errorMessage } from "../../base/errors.ts";
import type { ListedFile } from "./walk.ts";

/** Bytes that are gathered before they are sent: many small files go out together. */
const BATCH = 256 << 10;

/** Post-condition: exactly the listed sizes were written, and the channel's half is ended. "invalid" when a file changed since it was listed. */
export async function sendFiles(folder: string, files: readonly ListedFile[], channel: Duplex): Promise<void> {
  let buffer = Buffer.allocUnsafe(BATCH);
  let filled = 0;
  const flush = async () => {
    const bytes = buffer.subarray(0, filled);
    buffer = Buffer.allocUnsafe(BATCH);
    filled = 0;
    if (bytes.length > 0) await write(channel, bytes);
  };
  for (const { path, size } of files) {
    const fd = open(folder, path, size);
    try {
      for (let at = 0; at < size; ) {
        if (filled === BATCH) await flush();
        const read = readSync(fd, buffer, filled, Math.min(BATCH - filled, size - at), at);
        if (read === 0) throw changed(path);
        filled += read;
        at += read;
      }
    } finally {
      closeSync(fd);
    }
  }
  await flush();
  channel.end();
}

function open(folder: string, path: string, size: number): number {
  let fd: number;
  try {
    fd = openSync(`${folder}/${path}`, "r");
  } catch (cause) {
    throw new EngineError("invalid", `${errorMessage(cause)} (sending the build context)`, { cause });
  }
  if (fstatSync(fd).size === size) return fd;
  closeSync(fd);
  throw changed(path);
}

const changed = (path: string): EngineError =>
  new EngineError("invalid", `${path} changed while the build context was sent`, { hint: "Build again." });

/** Resolves when there is room again. */
async function write(channel: Duplex, bytes: Buffer): Promise<void> {
  if (channel.write(bytes)) return;
  await new Promise<void>((resolve, reject) => {
    const room = () => {
      channel.off("close", gone);
      resolve();
    };
    const gone = () => {
      channel.off("drain", room);
      reject(new EngineError("cancelled", "the daemon stopped reading"));
    };
    channel.once("drain", room).once("close", gone);
  });
}
