/** `gantry tag`. */
import type { Command } from "../command.ts";
import { checkedName, splitImage } from "../images/name.ts";

export const command: Command = {
  usage: "[OPTIONS] SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  flags: [{ name: "platform", type: "string", help: "Name this platform's image alone, where there are several" }],
  arguments: { min: 2, max: 2 },
  complete: "images",
  run: async (context, flags) => {
    const [source = "", target = ""] = flags.positional;
    if (target.includes("@")) throw new Error("refusing to create a tag with a digest reference");
    const refusal = `Error parsing reference: ${JSON.stringify(target)} is not a valid repository/tag: `;
    const { repo, tag = "latest" } = splitImage(checkedName(target, refusal));
    await context.client.images.tag(source, repo, tag, flags.text("platform"));
    return 0;
  },
};
