/** What a word could become: names of commands, flags, values of flags, and objects that the daemon knows. */
import type { Command } from "../command.ts";
import { COMMANDS, GROUPS } from "../commands/table.ts";
import type { Context } from "../context.ts";
import { listContexts } from "../contexts.ts";
import { find } from "../dispatch.ts";
import type { CompletionKind, FlagSpec } from "../flags/spec.ts";
import { GLOBAL_FLAGS } from "../globals.ts";

/** The last word is the one to complete. Nothing when there is nothing to say: the shell then offers files. */
export async function completions(context: Context, words: readonly string[]): Promise<string[]> {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const start = skipGlobals(before);
  const candidates = await candidatesFor(context, before.slice(start), current);
  return candidates.filter((word) => word.startsWith(current)).toSorted();
}

/** How many words the global flags take. */
function skipGlobals(words: readonly string[]): number {
  let at = 0;
  while (words[at]?.startsWith("-")) at += takesNext(GLOBAL_FLAGS, words[at] ?? "") === undefined ? 1 : 2;
  return Math.min(at, words.length);
}

async function candidatesFor(context: Context, words: readonly string[], current: string): Promise<readonly string[]> {
  const found = find(words);
  if (found === undefined) return names(words[0], current);
  const command = await found.entry.load();
  const flags = command.flags ?? [];
  const flag = takesNext(flags, found.rest.at(-1) ?? "");
  if (flag !== undefined) return await values(context, flag.complete);
  if (current.startsWith("-")) return flags.filter(({ hidden }) => !hidden).map(({ name }) => `--${name}`);
  return await positionals(context, command, found.rest);
}

function names(group: string | undefined, current: string): string[] {
  if (group !== undefined)
    return COMMANDS.filter(({ hidden }) => !hidden).flatMap((entry) =>
      entry.names.filter((name) => name.startsWith(`${group} `)).map((name) => name.slice(group.length + 1)),
    );
  if (current.startsWith("-")) return GLOBAL_FLAGS.map(({ name }) => `--${name}`);
  const single = COMMANDS.filter(({ hidden }) => !hidden).flatMap((entry) =>
    entry.names.filter((name) => !name.includes(" ")),
  );
  return [...single, ...Object.keys(GROUPS)];
}

/** The flag whose value the next word is. */
function takesNext(flags: readonly FlagSpec[], word: string): FlagSpec | undefined {
  if (!word.startsWith("-") || word.includes("=")) return undefined;
  const spec = word.startsWith("--")
    ? flags.find(({ name }) => name === word.slice(2))
    : flags.find(({ short }) => short === word.at(-1));
  return spec === undefined || spec.type === "bool" || spec.bare !== undefined ? undefined : spec;
}

async function positionals(context: Context, command: Command, rest: readonly string[]): Promise<readonly string[]> {
  const given = rest.filter((word) => !word.startsWith("-"));
  const open = command.interspersed === false ? given.length === 0 : given.length < command.arguments.max;
  if (!open) return [];
  const found = await values(context, command.complete);
  return found.filter((word) => !given.includes(word));
}

type Source = (context: Context) => Promise<readonly string[]> | readonly string[];

const containers = async ({ client }: Context, all: boolean) =>
  (await client.containers.list({ all })).flatMap(({ Names }) => Names.map((name) => name.slice(1)));

const SOURCES: Partial<Record<CompletionKind, Source>> = {
  containers: (context) => containers(context, true),
  running: (context) => containers(context, false),
  images: async ({ client }) => (await client.images.list()).flatMap(({ RepoTags }) => RepoTags ?? []),
  networks: async ({ client }) => (await client.networks.list()).map(({ Name }) => Name),
  volumes: async ({ client }) => ((await client.volumes.list()).Volumes ?? []).map(({ Name }) => Name),
  contexts: (context) => listContexts(context).map(({ name }) => name),
};

async function values(context: Context, complete: FlagSpec["complete"]): Promise<readonly string[]> {
  if (complete === undefined) return [];
  if (typeof complete !== "string") return complete;
  return (await SOURCES[complete]?.(context)) ?? [];
}
