/** The entry of a worker thread: one task at a time, answered by one message. */
import { parentPort } from "node:worker_threads";
import { EngineError, errorKind, errorMessage } from "../../../base/errors.ts";
import { type FileTask, runFileTask } from "./tasks.ts";
import type { WorkerAnswer } from "./workers.ts";

const port = parentPort;
if (port === null) throw new Error("this file runs in a worker thread");

port.on("message", async (task: FileTask) => {
  const answer = (message: WorkerAnswer) => port.postMessage(message);
  try {
    answer({ kind: "done", result: await runFileTask(task) });
  } catch (error) {
    const hint = error instanceof EngineError ? error.hint : undefined;
    answer({ kind: "failed", error: { kind: errorKind(error), message: errorMessage(error), hint } });
  }
});
