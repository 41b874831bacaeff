/** `gantry volume clone`. */
import { volumeCopyCommand } from "../volume-copy.ts";

export const command = volumeCopyCommand({ usage: "[OPTIONS] VOLUME CLONE", snapshot: false });
