/** The OCI runtime's command lines; they run with a task's folder as working folder. */
import type { DetectedRuntime } from "./detect.ts";

/** Messages of the runtime, a JSON object per line. */
export const RUNTIME_LOG = "runtime.log";
export const PROCESS_FILE = "process.json";
const PID_FILE = "pid";
const CONSOLE_SOCKET = "console.sock";

export interface CommandContext {
  readonly runtime: DetectedRuntime;
  /** The folder of the runtime's own state. */
  readonly state: string;
}

/** Creates and starts the container of the bundle in the working folder. */
export function runCommand(context: CommandContext, id: string, terminal: boolean): string[] {
  return [...base(context), ...logTo(RUNTIME_LOG), "run", "--detach", "--bundle", ".", ...pidAndConsole(terminal), id];
}

export function execCommand(context: CommandContext, containerId: string, terminal: boolean): string[] {
  return [
    ...base(context),
    ...logTo(RUNTIME_LOG),
    "exec",
    "--detach",
    "--process",
    PROCESS_FILE,
    ...pidAndConsole(terminal),
    containerId,
  ];
}

/** Kills what is left and forgets the container; succeeds too when there is none. */
export function deleteCommand(context: CommandContext, id: string): string[] {
  return [...base(context), "delete", "--force", id];
}

function base({ runtime, state }: CommandContext): string[] {
  return [runtime.path, ...runtime.arguments, "--root", state];
}

function logTo(file: string): string[] {
  return ["--log", file, "--log-format", "json"];
}

function pidAndConsole(terminal: boolean): string[] {
  return ["--pid-file", PID_FILE, ...(terminal ? ["--console-socket", CONSOLE_SOCKET] : [])];
}
