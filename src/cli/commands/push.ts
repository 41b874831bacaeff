/** `gantry push`. */
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { showProgress } from "../format/progress.ts";
import { authHeader } from "../images/credentials.ts";
import { checkedName, splitImage } from "../images/name.ts";

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
    const [all, named] = [flags.bool("all-tags"), splitImage(checkedName(name))];
    if (all && named.tag !== undefined) throw new Error("tag can't be used with --all-tags/-a");
    if (!all && named.tag === undefined && !flags.bool("quiet")) context.out.write("Using default tag: latest\n");
    const { repo, tag = all ? undefined : "latest" } = named;
    const auth = authHeader(context, repo) ?? Buffer.from("{}").toString("base64url");
    const messages = await context.client.images.push(repo, tag, { auth, platform: flags.text("platform") });
    await showProgress(messages, flags.bool("quiet") ? undefined : context.out);
    if (flags.bool("quiet")) context.out.write(`${name}\n`);
    return 0;
  },
};
