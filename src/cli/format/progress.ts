/** Progress of long work: on a terminal, one line per layer that changes in place; otherwise a line per change of status. */
import { isatty } from "node:tty";
import { EngineError } from "../../base/errors.ts";
import type { ProgressMessage } from "../../client/progress.ts";
import type { Output } from "../output.ts";
import { humanSize } from "./sizes.ts";

/** Resolves at the end. Throws the error that the stream tells of. `aux` gets the messages meant for programs. */
export async function showProgress(
  messages: AsyncIterable<ProgressMessage>,
  output: Output | undefined,
  aux: (value: unknown) => void = () => {},
): Promise<void> {
  const terminal = output !== undefined && isatty(output.fd);
  const lines: string[] = [];
  for await (const message of messages) {
    const failure = message.errorDetail?.message ?? message.error;
    if (failure !== undefined) throw new EngineError("internal", failure);
    if (message.aux !== undefined) aux(message.aux);
    else if (output !== undefined) show(output, message, terminal, lines);
  }
}

function show(output: Output, message: ProgressMessage, terminal: boolean, lines: string[]): void {
  const { id, stream, status = "" } = message;
  if (stream !== undefined) output.write(stream);
  else if (terminal && id !== undefined && message.progressDetail !== undefined) inPlace(output, id, message, lines);
  else if (terminal || !moving(message)) output.write(`${id === undefined ? "" : `${id}: `}${status}\n`);
}

/** How far something is, as opposed to what happened. */
function moving({ progressDetail }: ProgressMessage): boolean {
  return progressDetail?.current !== undefined || progressDetail?.total !== undefined;
}

function inPlace(output: Output, id: string, message: ProgressMessage, lines: string[]): void {
  let index = lines.indexOf(id);
  if (index < 0) {
    index = lines.push(id) - 1;
    output.write("\n");
  }
  const up = lines.length - index;
  output.write(`\x1b[${up}A\x1b[2K\r${id}: ${message.status ?? ""} ${barText(message)}\r\x1b[${up}B`);
}

const BAR = 50;

function barText({ progressDetail }: ProgressMessage): string {
  const { current = 0, total = 0, units, hidecounts } = progressDetail ?? {};
  if (current <= 0 && total <= 0) return "";
  const size = (value: number) => (units === undefined ? humanSize(value) : `${value} ${units}`).padStart(8);
  if (total <= 0) return size(current);
  const done = Math.min(BAR, Math.floor((current / total) * BAR));
  const bar = `[${"=".repeat(done)}>${" ".repeat(BAR - done)}]`;
  return hidecounts ? bar : `${bar} ${size(current)}/${humanSize(total)}`;
}
