import type { Command } from "./command.ts";
import { label } from "./run/checks.ts";
import { keyValues } from "./run/env.ts";

/** A command that makes one volume of another. */
export function volumeCopyCommand({ usage, snapshot }: { usage: string; snapshot: boolean }): Command {
  return {
    usage,
    flags: [{ name: "label", type: "list", help: "Set a label", check: label }],
    arguments: { min: 2, max: 2 },
    complete: "volumes",
    run: async (context, flags) => {
      const [name = "", to = ""] = flags.positional;
      const Labels = keyValues(flags.list("label"));
      const { Name } = await context.client.volumes.copy(name, { Name: to, Snapshot: snapshot, Labels });
      context.out.write(`${Name}\n`);
      return 0;
    },
  };
}
