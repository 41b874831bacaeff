/** How a build's progress is shown: one display for each `--progress`. */
import { isatty } from "node:tty";
import type { WireBuildFailure } from "../../api/types/build.ts";
import type { Output } from "../output.ts";
import { PlainDisplay } from "./progress-plain.ts";
import { RawDisplay } from "./progress-raw.ts";
import type { Display } from "./progress-text.ts";
import { TtyDisplay } from "./progress-tty.ts";

export const PROGRESS_MODES = ["auto", "plain", "tty", "rawjson", "quiet"] as const;

/** Throws for an unknown mode, and for "tty" where there is no terminal. */
export function makeDisplay(
  mode: string,
  out: Output,
  size: () => { rows: number; columns: number } | undefined,
): Display {
  const terminal = isatty(out.fd);
  if (mode === "quiet") return { event: () => {}, finish: () => {} };
  if (mode === "rawjson") return new RawDisplay(out);
  if (mode === "plain" || (mode === "auto" && !terminal)) return new PlainDisplay(out);
  if (mode === "auto") return new TtyDisplay(out, size);
  if (mode !== "tty") throw new Error(`invalid progress type: ${mode} (${PROGRESS_MODES.join(", ")})`);
  if (!terminal) throw new Error("failed to get console: the progress type tty needs a terminal");
  return new TtyDisplay(out, size);
}

/** What stays to be said of a failure: the lines of the Dockerfile, what to do. */
export function failureText({ step, message, hint }: WireBuildFailure): string {
  const excerpt = step?.excerpt ? `${step.excerpt.trimEnd()}\n` : "";
  return `${excerpt}ERROR: failed to build: ${message}\n${hint === undefined ? "" : `${hint}\n`}`;
}
