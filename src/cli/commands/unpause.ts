/** `gantry unpause`. */
import { containerCommand } from "../container-command.ts";

export const command = containerCommand((containers, name) => containers.unpause(name));
