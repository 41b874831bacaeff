/** How a build's progress is shown: one display for each `--progress`. */
import { isatty } from "node:tty";
import type { WireBuildFailure } from "../../api/types/build.ts";
import type { Output } from "../output.ts";
import type { Display } from "./progress-text.ts";

export const PROGRESS_MODES = ["auto", "plain", "tty", "rawjson", "quiet"] as const;

/** Throws for an unknown mode, and for "tty" where there is no terminal. Only the display that is shown is loaded. */
export async function makeDisplay(
  mode: string,
  out: Output,
  size: () => { rows: number; columns: number } | undefined,
): Promise<Display> {
  const terminal = isatty(out.fd);
  if (!(PROGRESS_MODES as readonly string[]).includes(mode))
    throw new Error(`invalid progress type: ${mode} (${PROGRESS_MODES.join(", ")})`);
  if (mode === "quiet") return { event: () => {}, finish: () => {} };
  if (mode === "rawjson") return new (await import("./progress-raw.ts")).RawDisplay(out);
  if (mode === "plain" || (mode === "auto" && !terminal)) {
    const { PlainDisplay } = await import("./progress-plain.ts");
    return new PlainDisplay(out);
  }
  if (!terminal) throw new Error("failed to get console: the progress type tty needs a terminal");
  return new (await import("./progress-tty.ts")).TtyDisplay(out, size);
}

/** What stays to be said of a failure: the lines of the Dockerfile, what to do. */
export function failureText({ step, message, hint }: WireBuildFailure): string {
  const excerpt = step?.excerpt ? `${step.excerpt.trimEnd()}\n` : "";
  return `${excerpt}ERROR: failed to build: ${message}\n${hint === undefined ? "" : `${hint}\n`}`;
}
