/** `--debug-shell`: a shell where a step failed, on the user's terminal. */
import type { Duplex } from "node:stream";
import type { Context } from "../context.ts";
import { carry } from "../session/carry.ts";
import { followSize, isTerminal, terminalSize } from "../session/terminal.ts";

/** Resolves with the shell's exit code when it has ended. */
export async function debugShell(context: Context, step: string, shell: string): Promise<number> {
  const terminal = isTerminal(0) && isTerminal(1);
  const { rows = 24, columns = 80 } = terminalSize() ?? {};
  const command = shell.split(" ").filter(Boolean);
  context.err.write(`A shell in the state of the failed step (${command.join(" ")}); exit leaves it.\n`);
  let stop = () => {};
  try {
    return await context.client.builds.shell(
      step,
      { terminal, rows, columns, command },
      {
        io: async (channel: Duplex) => {
          await carry(context, {
            hijacked: { stream: channel, framed: !terminal },
            tty: terminal,
            stdin: true,
            detachKeys: "",
          });
        },
        onResize: (resize) => {
          if (terminal) stop = followSize(({ rows: high, columns: wide }) => resize(high, wide));
        },
      },
    );
  } finally {
    stop();
  }
}
