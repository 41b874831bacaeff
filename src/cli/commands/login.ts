/** `gantry login`. */
import type { Command } from "../command.ts";
import { DEFAULT_REGISTRY } from "../images/credentials.ts";
import { askLine, askSecret } from "../images/prompt.ts";
import { storeCredentials } from "../images/store-credentials.ts";

export const command: Command = {
  usage: "[OPTIONS] [SERVER]",
  flags: [
    {
      name: "password",
      short: "p",
      type: "string",
      help: "Password or token (others can see it; rather use --password-stdin)",
    },
    { name: "password-stdin", type: "bool", help: "Read the password from standard input" },
    { name: "username", short: "u", type: "string", help: "User name" },
  ],
  arguments: { min: 0, max: 1 },
  run: async (context, flags) => {
    const [server = DEFAULT_REGISTRY] = flags.positional;
    if (flags.bool("password-stdin") && flags.changed("password"))
      throw new Error("conflicting options: cannot specify both --password and --password-stdin");
    if (flags.bool("password-stdin") && flags.text("username") === "")
      throw new Error("the --password-stdin option requires --username to be set");
    const username = flags.text("username") || (await askLine(context, "Username: "));
    const password = flags.bool("password-stdin")
      ? (await Array.fromAsync(process.stdin as AsyncIterable<Buffer>)).join("").replace(/\r?\n$/, "")
      : flags.text("password") || (await askSecret(context, "Password: "));
    const answer = await context.client.system.login({ username, password, serveraddress: server });
    storeCredentials(context, server, { username, password, identitytoken: answer.IdentityToken });
    context.out.write(`${answer.Status || "Login Succeeded"}\n`);
    return 0;
  },
};
