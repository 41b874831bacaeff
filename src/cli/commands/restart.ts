/** `gantry restart`. */
import { containerCommand } from "../container-command.ts";
import { STOP_FLAGS, stopOptions } from "../stop-flags.ts";

export const command = containerCommand((containers, name, flags) => containers.restart(name, stopOptions(flags)), {
  flags: STOP_FLAGS,
  complete: "containers",
});
