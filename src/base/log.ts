/** The daemon's own diagnostics: one line of logfmt per event, on the sink that the composition root chose. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "fatal";

export interface Logger {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const silentLogger: Logger = { log() {} };
