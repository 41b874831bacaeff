/** A build's failure in BuildKit's words, with its place in the Dockerfile, so that clients print the lines. */
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import { DockerfileError } from "../../builder/dockerfile/errors.ts";
import type { Range } from "../../builder/dockerfile/language.ts";
import { BuildError } from "../../builder/errors.ts";
import { StatusError, statusOf, UNKNOWN } from "../grpc/status.ts";
import { ERROR_SOURCE_TYPE } from "../wire/status.ts";
import { type DockerfileSource, placeIn } from "./places.ts";

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

/** JSON in place of Protocol Buffers, as the type's name says. */
function detailsOf(file: DockerfileSource, range: Range) {
  const place = placeIn(file, range);
  if (place === undefined) return [];
  const { info, ranges } = place;
  const source = { info: { ...info, data: info.data.toString("base64") }, ranges };
  return [{ typeUrl: ERROR_SOURCE_TYPE, value: Buffer.from(JSON.stringify(source)) }];
}
