/** The entry of a worker thread: one task at a time, answered by "progress" messages and one "done" or "failed". */
import { parentPort } from "node:worker_threads";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { type UnpackTask, unpackFile } from "./unpack-file.ts";
import type { WorkerMessage } from "./worker-pool.ts";

const port = parentPort;
if (port === null) throw new Error("this file runs in a worker thread");

port.on("message", async (task: UnpackTask) => {
  const send = (message: WorkerMessage) => port.postMessage(message);
  try {
    send({ kind: "done", tree: await unpackFile(task, (bytes) => send({ kind: "progress", bytes })) });
  } catch (error) {
    const hint = error instanceof EngineError ? error.hint : undefined;
    send({ kind: "failed", error: { kind: errorKind(error), message: errorMessage(error), hint } });
  }
});
