/** Passes of one mirror, off the main thread: the first message says of what, each further one asks for a pass. */
import { parentPort, workerData } from "node:worker_threads";
import { EngineError, errorMessage } from "../base/errors.ts";
import { Mirror } from "./mirror.ts";

const { source, target } = workerData as { source: string; target: string };
const mirror = new Mirror(source, target);

parentPort?.on("message", () => {
  try {
    for (const _ of mirror.pass());
    parentPort?.postMessage({});
  } catch (error) {
    parentPort?.postMessage({
      error: errorMessage(error),
      kind: error instanceof EngineError ? error.kind : "internal",
    });
  }
});
