/** `gantry pull`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { checkedName, splitImage, withTag } from "../images/name.ts";
import { pullImage } from "../images/pull.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  flags: [
    { name: "all-tags", short: "a", type: "bool", help: "Fetch every tag of the repository" },
    {
      name: "disable-content-trust",
      type: "bool",
      help: "Skip the verification of images",
      default: "true",
      hidden: true,
    },
    { name: "platform", type: "string", help: "Platform of the image, where it has several" },
    { name: "quiet", short: "q", type: "bool", help: "Don't show progress" },
  ],
  arguments: ONE_ARGUMENT,
  complete: "images",
  run: async (context, flags) => {
    const name = checkedName(flags.positional[0] ?? "");
    const [quiet, all, named] = [flags.bool("quiet"), flags.bool("all-tags"), splitImage(name).tag !== undefined];
    if (all && named) throw new Error("tag can't be used with --all-tags/-a");
    if (!all && !named && !quiet) context.out.write("Using default tag: latest\n");
    const image = all ? name : withTag(name);
    await pullImage(context, image, { platform: flags.text("platform"), quiet, to: context.out });
    context.out.write(`${image}\n`);
    return 0;
  },
};
