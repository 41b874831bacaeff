/** A registry as a process of its own. */
import type { Logger, LogLevel } from "../base/log.ts";
import { openRegistry } from "./open.ts";
import { serve } from "./server.ts";

export interface MainOptions {
  readonly root: string;
  readonly readOnly: boolean;
  /** "host:port". */
  readonly listen: { readonly host: string; readonly port: number };
  /** A line for the user. */
  readonly say: (line: string) => void;
}

/** Serves until SIGTERM or SIGINT; resolves with the exit code. */
export async function runRegistry({ root, readOnly, listen, say }: MainOptions): Promise<number> {
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  const logger = lineLogger(say);
  await using registry = openRegistry({ root, readOnly, logger });
  await using served = await serve(registry, listen);
  say(`registry ${root} listens on ${served.url}`);
  await stopped;
  return 0;
}

function lineLogger(say: (line: string) => void): Logger {
  const value = (item: unknown) => (/^[\w./:@-]+$/.test(String(item)) ? String(item) : JSON.stringify(String(item)));
  return {
    log(level: LogLevel, message, fields = {}) {
      if (level === "debug") return;
      const pairs = { time: new Date().toISOString(), level, msg: message, ...fields };
      say(
        Object.entries(pairs)
          .map(([key, item]) => `${key}=${value(item)}`)
          .join(" "),
      );
    },
  };
}
