/** `gantry attach`. */
import { type Command, ExitError, ONE_ARGUMENT } from "../command.ts";
import { joinContainer } from "../session/container.ts";
import { isTerminal } from "../session/terminal.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [
    { name: "detach-keys", type: "string", help: "Keys that leave the container running" },
    { name: "no-stdin", type: "bool", help: "Don't attach standard input" },
    { name: "sig-proxy", type: "bool", help: "Pass signals on to the container's process", default: "true" },
  ],
  arguments: ONE_ARGUMENT,
  complete: "running",
  run: async (context, flags) => {
    const { Id, Config, State, HostConfig } = await context.client.containers.inspect(flags.positional[0] ?? "");
    if (!State.Running) throw new Error("You cannot attach to a stopped container, start it first");
    if (State.Paused) throw new Error("You cannot attach to a paused container, unpause it first");
    if (State.Restarting) throw new Error("You cannot attach to a restarting container, wait until it is running");
    const tty = Config.Tty ?? false;
    const stdin = !flags.bool("no-stdin") && (Config.OpenStdin ?? false);
    if (tty && stdin && !isTerminal(0)) throw new ExitError(1, "the input device is not a TTY");
    const { detached, code } = await joinContainer(context, {
      id: Id,
      tty,
      stdin,
      stdout: true,
      stderr: true,
      detachKeys: flags.text("detach-keys"),
      forwardSignals: flags.bool("sig-proxy") && !tty,
      autoRemove: HostConfig.AutoRemove ?? false,
      start: false,
    });
    if (detached) throw new ExitError(1, "read escape sequence");
    return code;
  },
};
