/** The user's terminal: raw while a session has it, its size, and back to what it was whatever happens. */
import { spawnSync } from "node:child_process";
import { isatty } from "node:tty";

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

export function isTerminal(fd: 0 | 1 | 2): boolean {
  return isatty(fd);
}

/**
 * Keys come byte by byte and output goes out as it is. Returns the way back, which may be called twice. Node itself restores
 * the terminal when the process ends otherwise.
 */
export function rawTerminal(): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => {};
  stdin.setRawMode(true);
  // Node's raw mode still turns \n into \r\n, which breaks full-screen programs.
  spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  const restore = () => {
    stdin.setRawMode(false);
  };
  process.once("exit", restore);
  return () => {
    process.off("exit", restore);
    restore();
  };
}

export function terminalSize(): Size | undefined {
  const { stdout } = process;
  return stdout.isTTY ? { rows: stdout.rows, columns: stdout.columns } : undefined;
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
