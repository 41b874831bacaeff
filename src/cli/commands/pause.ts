/** `gantry pause`. */
import { containerCommand } from "../container-command.ts";

export const command = containerCommand((containers, name) => containers.pause(name));
