/** The fast decoder of json-file logs; not a system call, but at 400 MB/s not for JavaScript either. */
import { native } from "./native.ts";

export interface JsonLogFilter {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** A time of 30 bytes and a space before each line. */
  readonly timestamps: boolean;
  /** The line's attributes and a space before it. */
  readonly details?: boolean | undefined;
  /** Docker's 8-byte header before each line. */
  readonly framed: boolean;
  /** Nanoseconds since the epoch, inclusive; undefined: no bound. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
}

export interface DecodedLog {
  /** Bytes of whole lines that were used. */
  readonly consumed: number;
  /** Bytes that were written. */
  readonly produced: number;
  /** A line past `until` was met. */
  readonly done: boolean;
}

/** Room that `output` needs beyond the input's length for all whole lines of the input to be decoded in one call. */
export const JSON_LOG_SLACK = 64;

/** With details it needs this many times the input's length: of each byte of a name or value comes "%XX" at worst. */
export const DETAILS_GROWTH = 3;

/**
 * Decodes the whole lines in `input` between `from` and `to`. Stops before a line for which `output` may have no room. Lines
 * that are no log entries (torn, foreign) are passed over.
 */
export function decodeJsonLog(
  input: Buffer,
  from: number,
  to: number,
  output: Buffer,
  { stdout, stderr, timestamps, details = false, framed, since = 0n, until = 0n }: JsonLogFilter,
): DecodedLog {
  const flags = (stdout ? 1 : 0) | (stderr ? 2 : 0) | (timestamps ? 4 : 0) | (framed ? 8 : 0) | (details ? 16 : 0);
  const [consumed, produced, done] = native.decodeJsonLog(input, from, to, output, flags, since, until);
  return { consumed, produced, done: done !== 0 };
}
