import { EngineError, errorMessage } from "../base/errors.ts";
import type { LaunchFailure } from "./monitor.ts";
import type { Process } from "./spec-types.ts";

export interface FailedLaunch {
  readonly action: "start" | "exec";
  /** Its path and arguments explain what crun leaves out. */
  readonly process: Pick<Process, "args" | "cwd">;
  readonly runtime: string;
  /** Milliseconds that it had. */
  readonly limit: number;
}

const PREFIXES = {
  start: (runtime: string) =>
    `failed to create task for container: failed to create shim task: OCI runtime create failed: ${runtime} create failed: unable to start container process: `,
  exec: () => "OCI runtime exec failed: exec failed: unable to start container process: ",
} as const;

/** The error that Docker's clients expect; its text decides their exit code. */
export function launchError(error: unknown, failed: FailedLaunch): EngineError {
  const cause = launchFailure(error);
  if (cause === undefined) {
    return error instanceof EngineError ? error : new EngineError("internal", errorMessage(error), { cause: error });
  }
  if (cause.late) return lateError(cause, failed);
  const reason = dockerReason(lastError(cause.output) || lastLine(cause.output) || errorMessage(error), failed.process);
  return new EngineError("invalid", `${PREFIXES[failed.action](failed.runtime)}${reason}: unknown`, { cause });
}

function lateError(cause: LaunchFailure, { action, runtime, limit }: FailedLaunch): EngineError {
  const said = lastError(cause.output) || lastLine(cause.output);
  const problem = `the runtime did not end within ${limit / 1000} s and was killed`;
  return new EngineError(
    "internal",
    `${PREFIXES[action](runtime)}${problem}${said === "" ? "" : `: ${said}`}: unknown`,
    {
      cause,
      hint: "See whether the runtime answers to `--version`, and what keeps the machine busy; one that needs longer gets it by --runtime-timeout.",
    },
  );
}

function launchFailure(error: unknown): LaunchFailure | undefined {
  const cause = (error as { cause?: unknown } | null)?.cause as Partial<LaunchFailure> | null | undefined;
  return typeof cause?.exitCode === "number" && typeof cause.output === "string" ? (cause as LaunchFailure) : undefined;
}

/** The last error in the runtime's log: a JSON object with `msg` per line. */
function lastError(log: string): string {
  const messages = log.split("\n").flatMap((line) => {
    try {
      const entry = JSON.parse(line) as { level?: string; msg?: string };
      return entry.msg !== undefined && entry.level !== "debug" && entry.level !== "warning" ? [entry.msg] : [];
    } catch {
      return [];
    }
  });
  return (messages.at(-1) ?? "").trim();
}

/** The message of the last line that a runtime printed without a log. */
function lastLine(output: string): string {
  const line = output.trim().split("\n").at(-1) ?? "";
  return line.replace(/^\d{4}-\d\d-\d\dT\S+: /, "").replace(/^(?:crun|runc): /, "");
}

type Rule = readonly [pattern: RegExp, text: (match: RegExpExecArray, process: FailedLaunch["process"]) => string];

/** crun's texts to runc's, which are what Docker shows. */
const RULES: readonly Rule[] = [
  [/executable file `([^`]*)` not found/i, ([, file = ""]) => missing(file)],
  [/exec: "([^"]*)": executable file not found in \$PATH/, ([, file = ""]) => missing(file)],
  [/^(?:open|find) executable: (.*)$/, ([, reason = ""], { args }) => notRun(args[0] ?? "", reason)],
  [/^exec (?:container process )?`([^`]*)`: (.*)$/, ([, file = "", reason = ""]) => notRun(file, reason)],
  [
    /(\/proc\/(?:thread-self|self)\/attr\/(?:apparmor\/)?exec)\W.*no such file/i,
    ([, file = ""]) =>
      `unable to apply apparmor profile: write ${file}: no such file or directory (load it with apparmor_parser -r)`,
  ],
  [
    /chdir(?: to)? `?([^`:]*)`?: (.*)$/i,
    ([, folder = "", reason = ""]) => `chdir to cwd ("${folder}") set in config.json failed: ${lower(reason)}`,
  ],
];

function missing(file: string): string {
  return file.includes("/")
    ? `exec: "${file}": stat ${file}: no such file or directory`
    : `exec: "${file}": executable file not found in $PATH`;
}

/** What is no regular file, crun refuses with EPERM where exec(2) says EACCES. */
function notRun(file: string, reason: string): string {
  if (file === "") return missing(file);
  if (reason === "Not a directory") return `exec: "${file}": stat ${file}: not a directory`;
  return `exec: "${file}": ${reason === "Operation not permitted" ? "permission denied" : lower(reason)}`;
}

function dockerReason(message: string, process: FailedLaunch["process"]): string {
  for (const [pattern, text] of RULES) {
    const match = pattern.exec(message);
    if (match !== null) return text(match, process);
  }
  return message.replace(/^(?:runc (?:create|run|exec)|exec) failed: (?:unable to start container process: )?/, "");
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

const EXIT_CODES: readonly (readonly [RegExp, number])[] = [
  [/executable file not found|no such file or directory/i, 127],
  [/permission denied|not a directory|is a directory|exec format error|operation not permitted|text file busy/i, 126],
];

/** The exit code of a container or exec that never ran: 127 not found, 126 not executable, otherwise 128. */
export function startErrorExitCode(error: unknown): number {
  const message = errorMessage(error);
  return EXIT_CODES.find(([pattern]) => pattern.test(message))?.[1] ?? 128;
}
