/** A build's failure in BuildKit's words, with its place in the Dockerfile, so that clients print the lines. */
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import { DockerfileError } from "../../builder/dockerfile/errors.ts";
import type { Range } from "../../builder/dockerfile/language.ts";
import { BuildError } from "../../builder/errors.ts";
import { StatusError, statusOf, UNKNOWN } from "../grpc/status.ts";
import { ERROR_SOURCE_TYPE } from "../wire/status.ts";

export interface DockerfileSource {
  readonly name: string;
  readonly text: string;
}

/** The error as its client gets it. `file`: the Dockerfile, as far as it was read. */
export function explainFailure(error: unknown, file: DockerfileSource | undefined): unknown {
  if (!(error instanceof EngineError) || ["cancelled", "internal", "unavailable"].includes(errorKind(error)))
    return error;
  const isStep = error instanceof BuildError;
  const range = isStep ? error.step.range : error instanceof DockerfileError ? error.range : undefined;
  const details = file === undefined || range === undefined || file.text === "" ? [] : detailsOf(file, range);
  // Any other code would be printed before the message. The command in the hint of a failed step is another client's.
  const message = isStep ? inBuildkitWords(errorMessage(error)) : (statusOf(error).message ?? "");
  return new StatusError({ code: UNKNOWN, message, details }, error);
}

/** Of a RUN step. */
export const inBuildkitWords = (message: string): string =>
  message.replace(
    /^The command '(.*)' returned a non-zero code: (\d+)(.*)$/s,
    (_, command: string, code: string, why: string) =>
      `process "${command}" did not complete successfully: exit code: ${code}${why}`,
  );

/** Bytes of a Dockerfile that go whole with an error, which goes within a header; and of its cut. */
const MAX_TEXT = 8 << 10;
/** Lines around the error's own: clients show two, or four. */
const AROUND = 5;

/** JSON in place of Protocol Buffers, as the type's name says. None where even the lines around the error are too long. */
function detailsOf({ name, text }: DockerfileSource, { start, end }: Range) {
  const last = Math.max(start.line, end.line);
  const shown = Buffer.byteLength(text) <= MAX_TEXT ? text : surroundings(text, start.line - AROUND, last + AROUND);
  if (Buffer.byteLength(shown) > MAX_TEXT) return [];
  const source = {
    info: { filename: name, data: Buffer.from(shown).toString("base64"), language: "Dockerfile" },
    ranges: [{ start: { line: start.line }, end: { line: last } }],
  };
  return [{ typeUrl: ERROR_SOURCE_TYPE, value: Buffer.from(JSON.stringify(source)) }];
}

/** These lines, from 1, under their own numbers: those before them are empty, those after them are not there. */
function surroundings(text: string, first: number, last: number): string {
  const lines = text.split("\n", last);
  return lines.map((line, at) => (at + 1 < first ? "" : line)).join("\n");
}
