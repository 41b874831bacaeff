import type { Readable } from "node:stream";
import type { TarWriter } from "../../base/tar/writer.ts";

/** Runs who writes an archive beside who reads it. Rejects with the first error of the two, when both have ended. */
export async function sending(
  writer: TarWriter,
  signal: AbortSignal,
  read: (stream: Readable) => Promise<void>,
  write: () => Promise<void>,
): Promise<void> {
  const abort = () => writer.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  writer.stream.on("error", () => {});
  let first: unknown;
  const failed = (error: unknown) => {
    first ??= error;
    writer.destroy(error instanceof Error ? error : new Error(String(error)));
  };
  await Promise.all([read(writer.stream).catch(failed), write().catch(failed)]);
  signal.removeEventListener("abort", abort);
  if (first !== undefined) throw first;
}
