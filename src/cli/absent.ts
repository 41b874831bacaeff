/**
 * Docker's commands for what this engine does not have. They ask the daemon, whose refusal is in the words that docker's users
 * know; what another daemon could do is left to the docker CLI.
 */
import type { Context } from "./context.ts";
import { alignCells } from "./format/tabwriter.ts";

/** By first word: what the daemon is asked; `{}` is the object's name. */
const QUESTIONS: Readonly<Record<string, string>> = {
  checkpoint: "/containers/{}/checkpoints",
  config: "/configs",
  node: "/nodes",
  plugin: "/plugins/{}/json",
  secret: "/secrets",
  service: "/services",
  stack: "/services",
  swarm: "/swarm",
};

export function isAbsent(words: readonly string[]): boolean {
  const [first = "", second] = words;
  return Object.hasOwn(QUESTIONS, first) && second !== undefined && !second.startsWith("-");
}

/** Resolves with the exit code. */
export async function absent({ client, out }: Context, words: readonly string[]): Promise<number> {
  const [first = "", second = "", name = ""] = words.filter((word) => !word.startsWith("-"));
  if (first === "plugin" && ["ls", "list"].includes(second)) {
    const plugins = await client.transport.json<readonly Plugin[]>("GET", "/plugins");
    const rows = plugins.map(({ Id, Name, Config, Enabled }) => [Id, Name, Config.Description, String(Enabled)]);
    out.write(alignCells([["ID", "NAME", "DESCRIPTION", "ENABLED"], ...rows]));
    return 0;
  }
  await client.transport.text("GET", (QUESTIONS[first] ?? "").replace("{}", encodeURIComponent(name)));
  throw new Error(`gantry does not manage ${first}s: use the docker CLI with this daemon`);
}

interface Plugin {
  readonly Id: string;
  readonly Name: string;
  readonly Enabled: boolean;
  readonly Config: { readonly Description: string };
}
