/** `gantry push`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { showProgress } from "../format/progress.ts";
import { authHeader } from "../images/credentials.ts";
import { splitImage } from "../images/pull.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG]",
  flags: [
    { name: "all-tags", short: "a", type: "bool", help: "Send every tag of the repository" },
    { name: "disable-content-trust", type: "bool", help: "Skip the signing of images", default: "true", hidden: true },
    { name: "platform", type: "string", help: "Send only this platform" },
    { name: "quiet", short: "q", type: "bool", help: "Don't show progress" },
  ],
  arguments: ONE_ARGUMENT,
  complete: "images",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    const { repo, tag = flags.bool("all-tags") ? undefined : "latest" } = splitImage(name);
    const auth = (await authHeader(context, repo)) ?? Buffer.from("{}").toString("base64url");
    const messages = await context.client.images.push(repo, tag, { auth, platform: flags.text("platform") });
    await showProgress(messages, flags.bool("quiet") ? undefined : context.out);
    if (flags.bool("quiet")) context.out.write(`${name}\n`);
    return 0;
  },
};
