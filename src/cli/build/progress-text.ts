/** What the displays of a build have in common. */
import type { WireBuildEvent, WireVertex } from "../../api/types/build.ts";

export interface Display {
  event(event: WireBuildEvent): void;
  /** After the last event; what stays on the screen is whole lines. */
  finish(): void;
}

/** Seconds with one digit, as "12.3s". */
export function seconds(vertex: WireVertex, now: number): string {
  const end = vertex.completedAt ?? now;
  return `${(Math.max(0, end - (vertex.startedAt ?? end)) / 1000).toFixed(1)}s`;
}

/** Without escapes and control characters, which would move the cursor; tabs as spaces. */
export function printable(text: string): string {
  return text
    .replaceAll("\t", "    ")
    .replace(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|[\x00-\x1f\x7f]/g, "");
}

/** Cuts what processes write into lines: a carriage return begins the line anew. */
export class LineCutter {
  #held = "";

  /** Whole lines. */
  take(text: string): string[] {
    const lines = (this.#held + text).split("\n");
    this.#held = (lines.pop() ?? "").slice(-MAX_LINE);
    return lines.map(lastOf);
  }

  /** What is left without a line feed. */
  end(): string[] {
    const rest = this.#held;
    this.#held = "";
    return rest === "" ? [] : [lastOf(rest)];
  }
}

const MAX_LINE = 1 << 20;

/** What a terminal would show of a line that was written over. */
function lastOf(line: string): string {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf("\r") + 1);
}
