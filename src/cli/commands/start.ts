/** `gantry start`. */
import { type Command, ExitError, SOME_ARGUMENTS } from "../command.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { joinContainer, StartFailed } from "../session/container.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [
    { name: "attach", short: "a", type: "bool", help: "Attach to its output and pass signals on" },
    { name: "checkpoint", type: "string", help: "Restore from this checkpoint", hidden: true },
    { name: "checkpoint-dir", type: "string", help: "Folder of checkpoints", hidden: true },
    { name: "detach-keys", type: "string", help: "Keys that leave the container running" },
    { name: "interactive", short: "i", type: "bool", help: "Attach to its standard input" },
  ],
  arguments: SOME_ARGUMENTS,
  complete: "containers",
  run: async (context, flags) => {
    if (!flags.bool("attach") && !flags.bool("interactive")) return await startAll(context, flags);
    if (flags.positional.length > 1) throw new Error("you cannot start and attach multiple containers at once");
    return await startAndJoin(context, flags);
  },
};

async function startAll(context: Context, flags: ParsedFlags): Promise<number> {
  const failed: string[] = [];
  const [checkpoint, checkpointDir] = [flags.text("checkpoint"), flags.text("checkpoint-dir")];
  for (const name of flags.positional)
    try {
      await context.client.containers.start(name, { checkpoint, checkpointDir });
      context.out.write(`${name}\n`);
    } catch (error) {
      context.err.write(`${errorText(error)}\n`);
      failed.push(name);
    }
  if (failed.length > 0) throw new ExitError(1, `Error: failed to start containers: ${failed.join(", ")}`);
  return 0;
}

async function startAndJoin(context: Context, flags: ParsedFlags): Promise<number> {
  const { Id, Config, HostConfig } = await context.client.containers.inspect(flags.positional[0] ?? "");
  const attach = flags.bool("attach");
  try {
    const { code } = await joinContainer(context, {
      id: Id,
      tty: Config.Tty ?? false,
      stdin: flags.bool("interactive") && (Config.OpenStdin ?? false),
      stdout: true,
      stderr: true,
      detachKeys: flags.text("detach-keys"),
      forwardSignals: attach && !Config.Tty,
      autoRemove: HostConfig.AutoRemove ?? false,
      start: true,
    });
    return code;
  } catch (error) {
    throw error instanceof StartFailed ? error.cause : error;
  }
}
