import { EngineError } from "../base/errors.ts";
import { removeLogFiles } from "./files.ts";
import type { Logs } from "./logs.ts";
import { readLog } from "./read.ts";
import { sinkOf, sinkOfRun } from "./sink.ts";

/** The logs module. It holds nothing open but what is being read. */
export function openLogs(): Logs {
  return {
    sink: sinkOf,
    sinkOfRun,
    read(sink, options) {
      if (sink.path === undefined)
        throw new EngineError("not-implemented", "configured logging driver does not support reading");
      return readLog(sink.path, options);
    },
    remove(sink) {
      if (sink.path !== undefined) removeLogFiles(sink.path);
    },
  };
}
