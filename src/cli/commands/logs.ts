/** `gantry logs`. */
import { demultiplex } from "../../client/frames.ts";
import type { Response } from "../../client/http.ts";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import type { Context } from "../context.ts";
import { timestampText } from "../timestamps.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [
    { name: "details", type: "bool", help: "Show what the log driver adds" },
    { name: "follow", short: "f", type: "bool", help: "Go on with what comes" },
    {
      name: "since",
      type: "string",
      help: "Only what was written since this time (2026-01-02T13:23:37Z) or for so long (42m)",
    },
    { name: "tail", short: "n", type: "string", help: "Number of lines from the end", default: "all" },
    { name: "timestamps", short: "t", type: "bool", help: "Show when each line was written" },
    { name: "until", type: "string", help: "Only what was written before this time, or so long ago" },
  ],
  arguments: ONE_ARGUMENT,
  complete: "containers",
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    const now = Date.now();
    const time = (flag: string) => (flags.text(flag) === "" ? undefined : timestampText(flags.text(flag), now, flag));
    const response = await context.client.containers.logs(name, {
      stdout: true,
      stderr: true,
      follow: flags.bool("follow"),
      since: time("since"),
      until: time("until"),
      timestamps: flags.bool("timestamps"),
      tail: flags.text("tail"),
      details: flags.bool("details"),
    });
    await print(context, name, response);
    return 0;
  },
};

async function print(context: Context, name: string, response: Response): Promise<void> {
  if (await isFramed(context, name, response))
    await demultiplex(response.body, {
      write: (stream, bytes) => (stream === "stdout" ? context.out : context.err).write(bytes),
    });
  else for await (const bytes of response.body) context.out.write(bytes);
}

/** Old daemons do not say; then the container does. */
async function isFramed(context: Context, name: string, { headers }: Response): Promise<boolean> {
  const type = headers["content-type"] ?? "";
  if (type.includes("multiplexed-stream")) return true;
  return !(await context.client.containers.inspect(name)).Config.Tty;
}
