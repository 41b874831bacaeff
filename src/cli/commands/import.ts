/** `gantry import`. */
import { type Command, ExitError } from "../command.ts";
import { checkedName, splitImage } from "../images/name.ts";
import { readFile } from "../read-file.ts";

export const command: Command = {
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  flags: [
    { name: "change", short: "c", type: "list", help: "Apply a Dockerfile instruction to the image" },
    { name: "message", short: "m", type: "string", help: "Message for the image's history" },
    { name: "platform", type: "string", help: "Platform of the image" },
  ],
  arguments: { min: 1, max: Number.POSITIVE_INFINITY },
  complete: "files",
  run: async (context, flags) => {
    const [source = "", name = ""] = flags.positional;
    const remote = /^https?:\/\//.test(source);
    const archive = remote ? source : source === "-" ? process.stdin : readFile(source);
    // A digest is the daemon's to refuse.
    const { repo, tag } = name.includes("@") ? { repo: name } : splitImage(checkedName(name));
    const messages = await context.client.images.import(archive, {
      repo,
      tag,
      message: flags.text("message"),
      changes: flags.list("change"),
      platform: flags.text("platform"),
    });
    for await (const { status, error, errorDetail } of messages) {
      const failure = errorDetail?.message ?? error;
      if (failure !== undefined) throw new ExitError(1, failure);
      if (status !== undefined) context.out.write(`${status}\n`);
    }
    return 0;
  },
};
