import { EngineError } from "../base/errors.ts";
import type { Range } from "./dockerfile/language.ts";

/** What is kept of a step that failed. */
export interface FailedStep {
  /** For `Builder.shell`; undefined when there is no state to look at. */
  readonly id: string | undefined;
  /** "process "/bin/sh -c make" did not complete successfully: exit code: 2" has 2; undefined for what is no RUN step. */
  readonly exitCode: number | undefined;
  readonly file: string;
  readonly range: Range;
  /** The Dockerfile's lines, the offending ones marked by ">>>", as BuildKit prints them. */
  readonly excerpt: string;
}

/**
 * A step of a build failed: the request was right, what it asked for went wrong. Kind "invalid" for a RUN step with an exit code, otherwise
 * the kind of the cause. The hint is the command that opens a shell in the step's state.
 */
export class BuildError extends EngineError {
  readonly step: FailedStep;

  constructor(cause: EngineError, step: FailedStep, hint: string | undefined) {
    super(cause.kind, cause.message, { hint: hint ?? cause.hint, cause });
    this.name = "BuildError";
    this.step = step;
  }
}
