/** `gantry login`. */
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { configPath } from "../images/config-json.ts";
import { type Credentials, credentialsFor, DEFAULT_REGISTRY, serverName } from "../images/credentials.ts";
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
    const server = serverName(flags.positional[0] ?? DEFAULT_REGISTRY);
    const credentials = await given(context, flags, server);
    const answer = await context.client.system.login({ ...credentials, serveraddress: server });
    const kept = { ...credentials, identitytoken: answer.IdentityToken || credentials.identitytoken };
    if (storeCredentials(context, server, kept) === "file")
      context.err.write(
        `\nWARNING! Your credentials are stored unencrypted in '${configPath(context)}'.\nConfigure a credential helper to remove this warning.\n\n`,
      );
    context.out.write(`${answer.Status || "Login Succeeded"}\n`);
    return 0;
  },
};

/** From flags and standard input, else what is kept, else asked. */
async function given(context: Context, flags: ParsedFlags, server: string): Promise<Credentials> {
  const fromStdin = flags.bool("password-stdin");
  const [username, password] = [flags.text("username"), flags.text("password")];
  if (fromStdin && flags.changed("password"))
    throw new Error("conflicting options: cannot specify both --password and --password-stdin");
  if (fromStdin && username === "") throw new Error("the --password-stdin option requires --username to be set");
  if (password !== "") context.err.write("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
  const kept = username === "" ? credentialsFor(context, server) : undefined;
  if (kept !== undefined) {
    context.out.write(`Authenticating with existing credentials... [Username: ${kept.username ?? "<token>"}]\n`);
    return kept;
  }
  return {
    username: username || (await askLine(context, "Username: ")),
    password: fromStdin ? await standardInput() : password || (await askSecret(context, "Password: ")),
  };
}

async function standardInput(): Promise<string> {
  const chunks = await Array.fromAsync(process.stdin as AsyncIterable<Buffer>);
  return Buffer.concat(chunks)
    .toString()
    .replace(/\r?\n$/, "");
}
