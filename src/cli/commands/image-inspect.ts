/** `gantry image inspect`. */
import { type Command, SOME_ARGUMENTS } from "../command.ts";
import { checkedPlatforms } from "../images/platforms.ts";
import { INSPECT_FORMAT, inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [INSPECT_FORMAT, { name: "platform", type: "string", help: "Platform of the image, where it has several" }],
  arguments: SOME_ARGUMENTS,
  complete: "images",
  run: async (context, flags) => {
    const [platform = ""] = checkedPlatforms([flags.text("platform")], "");
    return await inspectObjects(context, flags, { type: "image", platform });
  },
};
