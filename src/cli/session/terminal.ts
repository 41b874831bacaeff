/** The user's terminal: raw while a session has it, its size, and back to what it was whatever happens. */
import { isatty } from "node:tty";

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

export function isTerminal(fd: 0 | 1 | 2): boolean {
  return isatty(fd);
}

/** What ends a process that does not listen. */
const FATAL: readonly NodeJS.Signals[] = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGALRM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGABRT",
];

/**
 * Keys come byte by byte and output goes out as it is. Returns the way back, which may be called twice and is taken by itself
 * when the process ends, also by a signal that nobody else listens to.
 */
export function rawTerminal(): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => {};
  stdin.setRawMode(true);
  // Node's raw mode still turns \n into \r\n, which breaks full-screen programs. Loaded here: who has no terminal saves 2 ms.
  process
    .getBuiltinModule("node:child_process")
    .spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  const restore = () => {
    process.off("exit", restore);
    for (const signal of FATAL) process.off(signal, ended);
    stdin.setRawMode(false);
  };
  const ended = (signal: NodeJS.Signals) => {
    if (process.listenerCount(signal) > 1) return;
    restore();
    process.kill(process.pid, signal);
  };
  process.once("exit", restore);
  for (const signal of FATAL) process.on(signal, ended);
  return restore;
}

export function terminalSize(): Size | undefined {
  const { isTTY, rows, columns } = process.stdout;
  return isTTY && rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

/** Tells the size now and after each change, until the returned function is called. Failures are the receiver's to swallow. */
export function followSize(tell: (size: Size) => void): () => void {
  const changed = () => {
    const size = terminalSize();
    if (size !== undefined) tell(size);
  };
  changed();
  process.stdout.on("resize", changed);
  return () => process.stdout.off("resize", changed);
}
