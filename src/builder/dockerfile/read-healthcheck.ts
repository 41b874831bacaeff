import { parseDuration } from "../../base/durations.ts";
import type { InstructionLine } from "./instruction-line.ts";
import type { HealthConfig } from "./language.ts";
import { isSpace, skipSpaces } from "./source.ts";
import type { Body } from "./table.ts";
import type { Token } from "./words.ts";

export const HEALTH_FLAGS = {
  interval: "text",
  timeout: "text",
  "start-period": "text",
  "start-interval": "text",
  retries: "text",
} as const;

/** Nanoseconds. */
const SHORTEST = 1e6;

/** `NONE`, or `[flags] CMD command`. */
export function readHealthcheck(line: InstructionLine): Body<"HEALTHCHECK"> {
  const { type, command } = cutType(line.rest);
  if (type === "") throw line.failure("HEALTHCHECK requires at least one argument");
  if (type.toUpperCase() === "NONE") {
    if (command.text !== "") throw line.failure("HEALTHCHECK NONE takes no arguments", command);
    return { health: { Test: ["NONE"] } };
  }
  if (type.toUpperCase() !== "CMD")
    throw line.failure(`Unknown type ${JSON.stringify(type.toUpperCase())} in HEALTHCHECK (try CMD)`, line.rest);
  return { health: { Test: readTest(line, command), ...readTimes(line) } };
}

function cutType({ text, offset }: Token): { type: string; command: Token } {
  let end = 0;
  while (end < text.length && !isSpace(text[end])) end++;
  const start = skipSpaces(text, end);
  return { type: text.slice(0, end), command: { text: text.slice(start), offset: offset + start } };
}

function readTest(line: InstructionLine, token: Token): readonly string[] {
  const command = line.commandLine(token);
  if (command.form === "exec" ? command.args.length === 0 : command.text === "")
    throw line.failure("Missing command after HEALTHCHECK CMD");
  return command.form === "exec" ? ["CMD", ...command.args] : ["CMD-SHELL", command.text];
}

/** Only what is said and not zero, as images have it. */
function readTimes(line: InstructionLine): Omit<HealthConfig, "Test"> {
  const times = {
    Interval: readInterval(line, "interval"),
    Timeout: readInterval(line, "timeout"),
    StartPeriod: readInterval(line, "start-period"),
    StartInterval: readInterval(line, "start-interval"),
    Retries: readRetries(line),
  };
  return Object.fromEntries(Object.entries(times).filter(([, value]) => value !== 0));
}

function readInterval(line: InstructionLine, name: string): number {
  const token = line.flagValues(name)[0];
  if (token === undefined || token.text === "") return 0;
  const value = parseDuration(token.text);
  if (value === undefined) throw line.failure(`time: invalid duration ${JSON.stringify(token.text)}`, token);
  if (value !== 0 && value < SHORTEST) throw line.failure(`Interval "${name}" cannot be less than 1ms`, token);
  return value;
}

function readRetries(line: InstructionLine): number {
  const token = line.flagValues("retries")[0];
  if (token === undefined || token.text === "") return 0;
  if (!/^[+-]?\d+$/.test(token.text))
    throw line.failure(`strconv.ParseInt: parsing ${JSON.stringify(token.text)}: invalid syntax`, token);
  const value = Number(token.text);
  if (Math.abs(value) > 2 ** 31 - 1)
    throw line.failure(`strconv.ParseInt: parsing ${JSON.stringify(token.text)}: value out of range`, token);
  if (value < 0) throw line.failure(`--retries cannot be negative (${value})`, token);
  return value;
}
