/** `gantry registry serve`: a registry in the foreground. */
import { type Command, ExitError, NO_ARGUMENTS } from "../command.ts";

const LISTEN = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(\d{1,5})$/;

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    {
      name: "listen",
      type: "string",
      default: "127.0.0.1:5000",
      value: "address",
      help: "Where to listen, [HOST:]PORT",
    },
    { name: "read-only", type: "bool", help: "Serve a root that another process writes" },
    {
      name: "root",
      type: "string",
      default: "/var/lib/gantry-registry",
      value: "folder",
      help: "Where everything is kept",
    },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const { runRegistry } = await import("../../registry/main.ts");
    return await runRegistry({
      root: flags.text("root"),
      readOnly: flags.bool("read-only"),
      listen: parseListen(flags.text("listen")),
      say: (line) => context.err.write(`${line}\n`),
    });
  },
};

function parseListen(text: string): { readonly host: string; readonly port: number } {
  const [, host = "127.0.0.1", port] = LISTEN.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535)
    throw new ExitError(
      125,
      `invalid address ${JSON.stringify(text)}: [HOST:]PORT is expected, such as 127.0.0.1:5000`,
    );
  return { host: host === "" ? "0.0.0.0" : host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}
