/** The machine's ps(1). */
import { EngineError } from "../base/errors.ts";
import { run } from "./spawn.ts";

export interface ProcessTable {
  readonly titles: string[];
  /** As many fields as titles; the last one may hold spaces. */
  readonly rows: string[][];
}

/** Arguments as on a command line, split at spaces; `-o` lists that lack the pid are refused by ps's own output. */
export async function listProcesses(args: string): Promise<ProcessTable> {
  const { code, stdout, stderr } = await run("ps", args.split(/\s+/).filter(Boolean)).catch((cause) => {
    throw new EngineError("unavailable", "ps could not be run", { hint: "install it: apt-get install procps", cause });
  });
  if (code !== 0)
    throw new EngineError("invalid", `error running ps: ${stderr.toString().trim() || `exit code ${code}`}`);
  const [head = "", ...lines] = stdout.toString().split("\n").filter(Boolean);
  const titles = head.trim().split(/\s+/);
  return { titles, rows: lines.map((line) => fields(line, titles.length)) };
}

function fields(line: string, count: number): string[] {
  const words = line.trim().split(/\s+/);
  return words.length <= count ? words : [...words.slice(0, count - 1), words.slice(count - 1).join(" ")];
}
