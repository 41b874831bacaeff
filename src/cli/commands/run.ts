/** `gantry run`. */

import type { ContainerCreateRequest } from "../../api/types/container.ts";
import { errorMessage } from "../../base/errors.ts";
import { type Command, ExitError, SOME_ARGUMENTS } from "../command.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import type { FlagSpec, ParsedFlags } from "../flags/spec.ts";
import { createContainer } from "../run/create.ts";
import { CONTAINER_FLAGS } from "../run/flags.ts";
import { containerRequest } from "../run/request.ts";
import { joinContainer, StartFailed, startExitCode } from "../session/container.ts";
import { isTerminal, terminalSize } from "../session/terminal.ts";

const FLAGS: readonly FlagSpec[] = [
  ...CONTAINER_FLAGS,
  { name: "detach", short: "d", type: "bool", help: "Run in the background and print the container's ID" },
  { name: "detach-keys", type: "string", help: "Keys that leave the container running" },
  { name: "sig-proxy", type: "bool", help: "Pass signals on to the container's process", default: "true" },
];

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: FLAGS,
  arguments: SOME_ARGUMENTS,
  interspersed: false,
  complete: "images",
  run: async (context, flags) => {
    try {
      return await run(context, flags);
    } catch (error) {
      if (error instanceof ExitError) throw error;
      const cause = error instanceof StartFailed ? error.cause : error;
      const code = startExitCode(cause instanceof Error && error instanceof StartFailed ? cause.message : "");
      throw new ExitError(
        code,
        `${context.program}: ${errorText(cause)}\n\nRun '${context.name} --help' for more information`,
      );
    }
  },
};

async function run(context: Context, flags: ParsedFlags): Promise<number> {
  const detached = flags.bool("detach");
  if (detached && flags.changed("attach"))
    throw new ExitError(1, "conflicting options: cannot specify both --attach and --detach");
  const request = forSession(containerRequest(flags, context.env), detached);
  if (request.Tty && request.AttachStdin && !isTerminal(0)) throw new ExitError(1, "the input device is not a TTY");
  const id = await createContainer(context, flags, request);
  const { AttachStdin: stdin = false, AttachStdout: stdout = false, AttachStderr: stderr = false } = request;
  if (!stdin && !stdout && !stderr) return await startDetached(context, id);
  const { code } = await joinContainer(context, {
    id,
    tty: request.Tty ?? false,
    stdin,
    stdout,
    stderr,
    detachKeys: flags.text("detach-keys"),
    forwardSignals: flags.bool("sig-proxy"),
    autoRemove: flags.bool("rm"),
    start: true,
  });
  return code;
}

function forSession(request: ContainerCreateRequest, detached: boolean): ContainerCreateRequest {
  const size = request.Tty ? terminalSize() : undefined;
  const HostConfig =
    size === undefined ? request.HostConfig : { ...request.HostConfig, ConsoleSize: [size.rows, size.columns] };
  if (!detached) return { ...request, HostConfig };
  return { ...request, HostConfig, AttachStdin: false, AttachStdout: false, AttachStderr: false, StdinOnce: false };
}

async function startDetached(context: Context, id: string): Promise<number> {
  try {
    await context.client.containers.start(id);
  } catch (error) {
    throw new StartFailed(errorMessage(error), { cause: error });
  }
  context.out.write(`${id}\n`);
  return 0;
}
