/** A build's failure with its place in the Dockerfile, so that clients print the lines. */
import { errorMessage } from "../../base/errors.ts";
import { DockerfileError } from "../../builder/dockerfile/errors.ts";
import type { Range } from "../../builder/dockerfile/language.ts";
import { BuildError } from "../../builder/errors.ts";
import { StatusError, statusOf, UNKNOWN } from "../grpc/status.ts";
import { encode } from "../protobuf/encode.ts";
import { ERROR_SOURCE_TYPE, ErrorSource } from "../wire/status.ts";

export interface DockerfileSource {
  readonly name: string;
  readonly text: string;
}

/** The error as its client gets it. `file`: the Dockerfile, as far as it was read. */
export function explainFailure(error: unknown, file: DockerfileSource | undefined): unknown {
  const range =
    error instanceof BuildError ? error.step.range : error instanceof DockerfileError ? error.range : undefined;
  if (file === undefined || range === undefined || file.text === "") return error;
  const details = [{ typeUrl: ERROR_SOURCE_TYPE, value: encode(ErrorSource, sourceOf(file, range)) }];
  // The command that the hint of a failed step names is another client's.
  if (error instanceof BuildError)
    return new StatusError({ code: UNKNOWN, message: errorMessage(error), details }, error);
  return new StatusError({ ...statusOf(error), details }, error);
}

const sourceOf = ({ name, text }: DockerfileSource, { start, end }: Range) => ({
  info: { filename: name, data: Buffer.from(text), language: "Dockerfile" },
  ranges: [{ start: { line: start.line }, end: { line: Math.max(start.line, end.line) } }],
});
