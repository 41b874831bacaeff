import { digestOf } from "../../base/digest.ts";
import { errorMessage } from "../../base/errors.ts";
import { cancelled } from "../graph/slots.ts";
import type { BuildEvent } from "../progress.ts";

/** Work that is no step of the graph, shown as a vertex of the progress. */
export async function shownWork<T>(
  { onProgress, signal }: { readonly onProgress: (event: BuildEvent) => void; readonly signal: AbortSignal },
  name: string,
  work: (log: (text: string) => void) => Promise<T>,
): Promise<T> {
  if (signal.aborted) throw cancelled(signal);
  const digest = digestOf(`work ${name}`);
  const vertex = { digest, inputs: [], name, startedAt: Date.now() };
  onProgress({ type: "vertex", vertex });
  const log = (text: string) =>
    onProgress({ type: "log", vertex: digest, stream: 1, data: Buffer.from(`${text}\n`), time: Date.now() });
  try {
    const done = await work(log);
    onProgress({ type: "vertex", vertex: { ...vertex, completedAt: Date.now() } });
    return done;
  } catch (error) {
    onProgress({ type: "vertex", vertex: { ...vertex, completedAt: Date.now(), error: errorMessage(error) } });
    throw error;
  }
}
