/** `gantry stop`. */
import { containerCommand } from "../container-command.ts";
import { STOP_FLAGS, stopOptions } from "../stop-flags.ts";

export const command = containerCommand((containers, name, flags) => containers.stop(name, stopOptions(flags)), {
  flags: STOP_FLAGS,
});
