/** `gantry kill`. */
import { containerCommand } from "../container-command.ts";

export const command = containerCommand(
  (containers, name, flags) => containers.kill(name, flags.text("signal") || undefined),
  { flags: [{ name: "signal", short: "s", type: "string", help: "Signal to send" }] },
);
