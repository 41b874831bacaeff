/** `gantry exec`. */

import type { ExecCreateRequest } from "../../api/types/container.ts";
import { errorMessage } from "../../base/errors.ts";
import { type Command, ExitError } from "../command.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { environment } from "../run/checks.ts";
import { readEnvironment } from "../run/env.ts";
import { carry } from "../session/carry.ts";
import { startExitCode } from "../session/container.ts";
import { followSize, isTerminal, terminalSize } from "../session/terminal.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  flags: [
    { name: "detach", short: "d", type: "bool", help: "Run it in the background" },
    { name: "detach-keys", type: "string", help: "Keys that leave the command running" },
    { name: "env", short: "e", type: "list", help: "Set an environment variable", check: environment },
    { name: "env-file", type: "list", help: "Read environment variables from a file", complete: "files" },
    { name: "interactive", short: "i", type: "bool", help: "Keep standard input open even when not attached" },
    { name: "privileged", type: "bool", help: "Give the command all privileges" },
    { name: "tty", short: "t", type: "bool", help: "Give it a terminal" },
    { name: "user", short: "u", type: "string", help: "User name or ID (format: <name|uid>[:<group|gid>])" },
    { name: "workdir", short: "w", type: "string", help: "Folder to start in" },
  ],
  arguments: { min: 2, max: Number.POSITIVE_INFINITY },
  interspersed: false,
  complete: "running",
  run: async (context, flags) => {
    const request = execRequest(context, flags);
    const [container = ""] = flags.positional;
    const blind = request.Tty && request.AttachStdin && !isTerminal(0);
    // Which of two mistakes is told is docker's order.
    if (blind) await context.client.containers.inspect(container);
    if (blind) throw new ExitError(1, "the input device is not a TTY");
    const id = await context.client.containers.execCreate(container, request);
    if (!flags.bool("detach")) return await join(context, id, request);
    await context.client.containers.execStart(id, { Detach: true, Tty: request.Tty });
    return 0;
  },
};

function execRequest(context: Context, flags: ParsedFlags): ExecCreateRequest {
  const attached = !flags.bool("detach");
  const Tty = flags.bool("tty");
  const size = Tty ? terminalSize() : undefined;
  const [user, folder, detachKeys] = [flags.text("user"), flags.text("workdir"), flags.text("detach-keys")];
  return {
    AttachStdin: attached && flags.bool("interactive"),
    AttachStdout: attached,
    AttachStderr: attached,
    Tty,
    Env: readEnvironment(flags.list("env-file"), flags.list("env"), context.env),
    Cmd: flags.positional.slice(1),
    Privileged: flags.bool("privileged"),
    ...(user === "" ? {} : { User: user }),
    ...(folder === "" ? {} : { WorkingDir: folder }),
    ...(detachKeys === "" ? {} : { DetachKeys: detachKeys }),
    ...(size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] }),
  };
}

async function join(context: Context, id: string, request: ExecCreateRequest): Promise<number> {
  const { containers } = context.client;
  const { Tty: tty = false, AttachStdin: stdin = false, ConsoleSize, DetachKeys: detachKeys = "" } = request;
  try {
    const hijacked = await containers.execAttach(id, { Detach: false, Tty: tty, ConsoleSize });
    const carried = carry(context, { hijacked, tty, stdin, detachKeys });
    const stop = tty
      ? followSize(({ rows, columns }) => void containers.execResize(id, rows, columns).catch(() => {}))
      : () => {};
    const detached = await carried.finally(stop);
    if (detached) throw new ExitError(1, "read escape sequence");
  } catch (error) {
    if (error instanceof ExitError) throw error;
    const code = startExitCode(errorMessage(error));
    throw new ExitError(code === 125 ? 1 : code, errorText(error));
  }
  return (await containers.execInspect(id)).ExitCode ?? 0;
}
