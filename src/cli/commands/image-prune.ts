/** `gantry image prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { PRUNE_FLAGS, PRUNES, pruneCommand } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    ...PRUNE_FLAGS,
    {
      name: "all",
      short: "a",
      type: "bool",
      help: "Remove all images that no container uses, not only those without a name",
    },
    { name: "keep", type: "string", help: "Remove the longest unused until the images take at most this ('20GB')" },
    { name: "unused-for", type: "string", help: "Remove images that were not used for so long ('7d', '12h')" },
  ],
  arguments: NO_ARGUMENTS,
  run: (context, flags) => {
    const wishes = WISHES.filter((name) => flags.changed(name));
    const all = flags.bool("all") || wishes.length > 0;
    const prune: typeof PRUNES.images = (to, filters) =>
      PRUNES.images(to, { ...filters, ...Object.fromEntries(wishes.map((name) => [name, [flags.text(name)]])) }, all);
    return pruneCommand(context, flags, prune, warning(flags), all);
  },
};

const WISHES = ["unused-for", "keep"];

function warning(flags: ParsedFlags): string {
  const [unused, keep] = [flags.text("unused-for"), flags.text("keep")];
  if (unused === "" && keep === "")
    return flags.bool("all")
      ? "This will remove all images without at least one container associated to them."
      : "This will remove all dangling images.";
  const which = unused === "" ? "images that no container uses" : `images not used for ${unused}`;
  return `This will remove ${which}${keep === "" ? "" : `, the longest unused first, until the others take at most ${keep}`}.`;
}
