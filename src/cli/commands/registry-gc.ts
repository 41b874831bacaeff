/** `gantry registry gc`: by the registry that serves the folder, or by itself when none does. */
import { type Command, NO_ARGUMENTS } from "../command.ts";
import { humanSize } from "../format/sizes.ts";
import { REGISTRY_ROOT } from "./registry-serve.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    {
      name: "config",
      type: "string",
      value: "file",
      help: "The registry's settings; without a running registry, its retention rules hold",
    },
    { name: "dry-run", type: "bool", help: "Only say what would be removed" },
    {
      name: "grace",
      type: "duration",
      help: "Keep blobs without a manifest for this long (default 24h, or as the settings say)",
    },
    {
      name: "root",
      type: "string",
      value: "folder",
      help: `Where the registry keeps everything (default ${REGISTRY_ROOT})`,
    },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const { collectGarbage } = await import("../../registry/main.ts");
    const given = (name: string) => (flags.changed(name) ? flags.text(name) : undefined);
    const dryRun = flags.bool("dry-run");
    const { tags, manifests, blobs, uploads, bytes } = await collectGarbage({
      config: given("config"),
      root: given("root"),
      defaultRoot: REGISTRY_ROOT,
      grace: flags.changed("grace") ? flags.number("grace") / 1e6 : undefined,
      dryRun,
    });
    const verb = dryRun ? "Would remove" : "Removed";
    context.out.write(
      `${verb} ${tags} tags, ${manifests} manifests, ${blobs} blobs and ${uploads} unfinished uploads\n`,
    );
    context.out.write(`Total reclaimed space: ${humanSize(bytes)}\n`);
    return 0;
  },
};
