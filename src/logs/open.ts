import { EngineError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/log.ts";
import { removeLogFiles } from "./files.ts";
import { Forwarders } from "./forward/forwarders.ts";
import type { Logs } from "./logs.ts";
import { readLog } from "./read.ts";
import { sinkOf, sinkOfRun } from "./sink.ts";

/** The logs module. It holds nothing open but what is being read or forwarded. */
export function openLogs({ logger = silentLogger }: { readonly logger?: Logger | undefined } = {}): Logs {
  const forwarders = new Forwarders(logger);
  return {
    sink: sinkOf,
    sinkOfRun,
    forward: (config, folder, subject, ended) => forwarders.add({ config, folder, subject }, ended),
    read(sink, options) {
      if (sink.path === undefined || sink.unreadable)
        throw new EngineError("not-implemented", "configured logging driver does not support reading");
      return readLog(sink.path, options);
    },
    async remove(sink) {
      if (sink.path === undefined) return;
      await forwarders.finish(sink.path);
      removeLogFiles(sink.path);
    },
    close: () => forwarders.close(),
  };
}
