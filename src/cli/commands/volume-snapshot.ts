/** `gantry volume snapshot`. */
import { volumeCopyCommand } from "../volume-copy.ts";

export const command = volumeCopyCommand({ usage: "[OPTIONS] VOLUME SNAPSHOT", snapshot: true });
