/** `gantry system prune`. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { filtersOf } from "../filters.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { humanSize } from "../format/sizes.ts";
import { confirm, PRUNE_FLAGS, PRUNES } from "../prune.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    ...PRUNE_FLAGS,
    { name: "all", short: "a", type: "bool", help: "Remove all unused images, not only those without a name" },
    { name: "volumes", type: "bool", help: "Remove anonymous volumes too" },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    if (flags.bool("volumes") && filtersOf(flags.list("filter")).until !== undefined)
      throw new Error('ERROR: The "until" filter is not supported with "--volumes"');
    await confirm(context, flags, warning(flags));
    const filters = filtersOf(flags.list("filter"));
    const all = flags.bool("all");
    const steps = [
      () => PRUNES.containers(context, filters),
      () => PRUNES.networks(context, filters),
      ...(flags.bool("volumes") ? [() => PRUNES.volumes(context, filters, false)] : []),
      () => PRUNES.images(context, filters, all),
      () => PRUNES.cache(context, filters, all),
    ];
    let reclaimed = 0;
    for (const step of steps) {
      const pruned = await step();
      if (pruned.text !== "") context.out.write(`${pruned.text}\n`);
      reclaimed += pruned.reclaimed ?? 0;
    }
    context.out.write(`Total reclaimed space: ${humanSize(reclaimed)}\n`);
    return 0;
  },
};

function warning(flags: ParsedFlags): string {
  const lines = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(flags.bool("volumes") ? ["all anonymous volumes not used by at least one container"] : []),
    flags.bool("all") ? "all images without at least one container associated to them" : "all dangling images",
    flags.bool("all") ? "all build cache" : "unused build cache",
  ];
  const list = (words: readonly string[]) => words.map((line) => `  - ${line}\n`).join("");
  const filters = flags.list("filter").toSorted();
  const filtered = filters.length === 0 ? "" : `\n  Items to be pruned will be filtered with:\n${list(filters)}`;
  return `WARNING! This will remove:\n${list(lines)}${filtered}\nAre you sure you want to continue?`;
}
