/** `gantry commit`. */
import type { Command } from "../command.ts";
import { checkedName, splitImage } from "../images/name.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  flags: [
    { name: "author", short: "a", type: "string", help: "Who made it" },
    { name: "change", short: "c", type: "list", help: "Apply a Dockerfile instruction to the image" },
    { name: "message", short: "m", type: "string", help: "Message for the image's history" },
    { name: "pause", short: "p", type: "bool", help: "Pause the container meanwhile", default: "true" },
  ],
  arguments: { min: 1, max: 2 },
  complete: "containers",
  run: async (context, flags) => {
    const [container = "", name = ""] = flags.positional;
    const { repo, tag } = splitImage(checkedName(name));
    if (name.includes("@")) throw new Error("refusing to create a tag with a digest reference");
    const id = await context.client.containers.commit(container, {
      repo,
      tag,
      comment: flags.text("message"),
      author: flags.text("author"),
      pause: flags.bool("pause"),
      changes: flags.list("change"),
    });
    context.out.write(`${id}\n`);
    return 0;
  },
};
