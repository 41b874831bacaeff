/** `gantry stats`. */
import { isatty } from "node:tty";
import type { ContainerStats } from "../../api/types/container.ts";
import { ANY_ARGUMENTS, type Command } from "../command.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { FORMAT_FLAG, printListing } from "../format/listing.ts";
import { type StatsRow, statsListing, statsRow } from "../format/stats.ts";

export const command: Command = {
  usage: "[OPTIONS] [CONTAINER...]",
  flags: [
    { name: "all", short: "a", type: "bool", help: "Show all containers, not only those that run" },
    FORMAT_FLAG,
    { name: "no-stream", type: "bool", help: "Show one result and end" },
    { name: "no-trunc", type: "bool", help: "Don't shorten anything" },
  ],
  arguments: ANY_ARGUMENTS,
  complete: "running",
  run: async (context, flags) => (flags.bool("no-stream") ? await once(context, flags) : await follow(context, flags)),
};

async function namesOf(context: Context, flags: ParsedFlags): Promise<readonly string[]> {
  if (flags.positional.length > 0) return flags.positional;
  return (await context.client.containers.list({ all: flags.bool("all") })).map(({ Id }) => Id);
}

async function once(context: Context, flags: ParsedFlags): Promise<number> {
  const names = await namesOf(context, flags);
  const results = await Promise.allSettled(names.map((name) => first(context, name)));
  const rows = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  if (rows.length > 0 || names.length === 0) await print(context, flags, rows);
  const failed = results.filter((result) => result.status === "rejected");
  for (const { reason } of failed) context.err.write(`${errorText(reason)}\n`);
  return failed.length > 0 ? 1 : 0;
}

async function first(context: Context, name: string): Promise<StatsRow[]> {
  for await (const stats of context.client.containers.stats(name, { stream: false })) return [statsRow(name, stats)];
  return [];
}

function print(context: Context, flags: ParsedFlags, rows: readonly StatsRow[]): Promise<void> {
  return printListing(context, statsListing(flags.bool("no-trunc")), rows, { format: flags.text("format") });
}

const REDRAW_MS = 500;

/** Redraws twice a second what came last; containers that come and go are noticed when none were named. */
async function follow(context: Context, flags: ParsedFlags): Promise<number> {
  const rows = new Map<string, StatsRow | undefined>();
  const watch = (name: string) => {
    if (rows.has(name)) return;
    rows.set(name, undefined);
    watchOne(context, name, (stats) => rows.set(name, statsRow(name, stats))).then(
      () => rows.delete(name),
      (error: unknown) => {
        rows.delete(name);
        if (flags.positional.length > 0) context.err.write(`${errorText(error)}\n`);
      },
    );
  };
  for (;;) {
    if (flags.positional.length > 0 && rows.size === 0) for (const name of flags.positional) watch(name);
    else if (flags.positional.length === 0) for (const name of await namesOf(context, flags)) watch(name);
    await new Promise((resolve) => setTimeout(resolve, REDRAW_MS));
    if (isatty(1)) context.out.write("\x1b[H\x1b[J");
    await print(
      context,
      flags,
      [...rows.values()].filter((row) => row !== undefined),
    );
    if (flags.positional.length > 0 && rows.size === 0) return 1;
  }
}

async function watchOne(context: Context, name: string, tell: (stats: ContainerStats) => void): Promise<void> {
  for await (const stats of context.client.containers.stats(name, { stream: true })) tell(stats);
}
