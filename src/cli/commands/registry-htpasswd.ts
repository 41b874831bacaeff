/** `gantry registry htpasswd`: a user for a registry's htpasswd file. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { text } from "node:stream/consumers";
import { writeFileAtomic } from "../../base/files.ts";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import { askSecret } from "../images/prompt.ts";

export const command: Command = {
  usage: "[OPTIONS] USER",
  flags: [
    { name: "cost", type: "int", default: "10", help: "Rounds, as a power of two" },
    {
      name: "file",
      short: "f",
      type: "string",
      value: "file",
      help: "Write the line there, in place of the user's old one",
    },
    { name: "password-stdin", type: "bool", help: "Read the password from standard input" },
  ],
  arguments: ONE_ARGUMENT,
  run: async (context, flags) => {
    const [user = ""] = flags.positional;
    const { hashPassword } = await import("../../registry/main.ts");
    const password = flags.bool("password-stdin")
      ? (await text(process.stdin)).replace(/\r?\n$/, "")
      : await askSecret(context, "Password: ");
    const line = await hashPassword(user, password, flags.number("cost"));
    if (flags.changed("file")) put(flags.text("file"), user, line);
    else context.out.write(`${line}\n`);
    return 0;
  },
};

/** A server that reads it meanwhile sees the old file or the new one. */
function put(path: string, user: string, line: string): void {
  const before = existsSync(path) ? readFileSync(path, "utf8").split("\n") : [];
  const others = before.filter((old) => old !== "" && !old.startsWith(`${user}:`));
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o640;
  writeFileAtomic(path, `${[...others, line].join("\n")}\n`, { mode });
}
