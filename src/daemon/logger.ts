/** The daemon's own log on standard error: logfmt or JSON, a line per event, in the form log readers know from dockerd. */
import type { Logger, LogLevel } from "../base/log.ts";

const RANK: Readonly<Record<string, number>> = { trace: 0, debug: 0, info: 1, warn: 2, error: 3, fatal: 4, panic: 4 };

type Fields = Readonly<Record<string, unknown>>;

export class LineLogger implements Logger {
  level: LogLevel;
  readonly #json: boolean;
  readonly #write: (line: string) => void;

  constructor({ level, json, write }: { level: LogLevel; json: boolean; write: (line: string) => void }) {
    this.level = level;
    this.#json = json;
    this.#write = write;
  }

  log(level: LogLevel, message: string, fields: Fields = {}): void {
    if ((RANK[level] ?? 1) < (RANK[this.level] ?? 1)) return;
    const time = new Date().toISOString();
    const name = level === "warn" ? "warning" : level;
    const line = this.#json
      ? JSON.stringify({ ...fields, level: name, msg: message, time })
      : `time="${time}" level=${name} msg=${quote(message, true)}${pairs(fields)}`;
    this.#write(`${line}\n`);
  }
}

const pairs = (fields: Fields): string =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        ` ${key}=${quote(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)), false)}`,
    )
    .join("");

function quote(text: string, always: boolean): string {
  return !always && /^[\w.,:/@^+-]+$/.test(text) ? text : JSON.stringify(text);
}
