/** `gantry manifest push`. */
import { type Command, ExitError, ONE_ARGUMENT } from "../command.ts";
import { authHeader } from "../images/credentials.ts";
import { fullName, hasList, readList, removeList } from "../images/manifest-lists.ts";
import { splitImage } from "../images/name.ts";

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST",
  flags: [
    { name: "insecure", type: "bool", help: "Accept a registry without TLS, or with an unknown certificate" },
    { name: "purge", short: "p", type: "bool", help: "Forget the list when it is pushed" },
  ],
  arguments: ONE_ARGUMENT,
  run: async (context, flags) => {
    const [list = ""] = flags.positional.map((name) => fullName(name));
    if (!hasList(context, list)) throw new ExitError(1, `No such manifest: ${list}`);
    const options = { auth: authHeader(context, splitImage(list).repo), insecure: flags.bool("insecure") };
    const messages = await context.client.images.pushManifestList(list, readList(context, list), options);
    for await (const { status, error, errorDetail } of messages) {
      const failure = errorDetail?.message ?? error;
      if (failure !== undefined) throw new ExitError(1, failure);
      if (status !== undefined) context.out.write(`${status}\n`);
    }
    if (flags.bool("purge")) removeList(context, list);
    return 0;
  },
};
