/** `gantry manifest create`. */
import { type Command, ExitError } from "../command.ts";
import { fetchSingle, fullName, hasList, readMember, writeMember } from "../images/manifest-lists.ts";

export const command: Command = {
  usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
  flags: [
    { name: "amend", short: "a", type: "bool", help: "Add to a list that is there" },
    { name: "insecure", type: "bool", help: "Accept a registry without TLS, or with an unknown certificate" },
  ],
  arguments: { min: 2, max: Number.POSITIVE_INFINITY },
  run: async (context, flags) => {
    const [first = "", ...others] = flags.positional;
    const list = fullName(first, `error parsing name for manifest list ${first}: `);
    const members = others.map((name) => fullName(name));
    if (hasList(context, list) && !flags.bool("amend"))
      throw new ExitError(1, "refusing to amend an existing manifest list with no --amend flag");
    const manifests = [];
    for (const member of members)
      manifests.push(readMember(context, list, member) ?? (await fetchSingle(context, member, flags.bool("insecure"))));
    for (const manifest of manifests) writeMember(context, list, manifest);
    context.out.write(`Created manifest list ${list}\n`);
    return 0;
  },
};
