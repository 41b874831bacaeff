/** Removing what nothing uses: one function per kind of object, and how the user is asked and told. */
import type { Filters } from "../client/containers.ts";
import { ExitError } from "./command.ts";
import type { Context } from "./context.ts";
import { filtersOf, LONG_FILTER_FLAG } from "./filters.ts";
import type { FlagSpec, ParsedFlags } from "./flags/spec.ts";
import { humanSize } from "./format/sizes.ts";

export interface Pruned {
  /** What is shown, with its title; "" when nothing was removed. */
  readonly text: string;
  /** Bytes; undefined where nothing is counted. */
  readonly reclaimed: number | undefined;
}

export const PRUNE_FLAGS: readonly FlagSpec[] = [
  LONG_FILTER_FLAG,
  { name: "force", short: "f", type: "bool", help: "Don't ask" },
];

type Prune = (context: Context, filters: Filters, all: boolean) => Promise<Pruned>;

export const PRUNES = {
  containers: async ({ client }, filters) => {
    const { ContainersDeleted, SpaceReclaimed } = await client.containers.prune(filters);
    return { text: titled("Deleted Containers:", ContainersDeleted), reclaimed: SpaceReclaimed };
  },
  images: async ({ client }, filters, all) => {
    // What the user says beside it is the daemon's to refuse, as with docker.
    const dangling = [...new Set([...(filters.dangling ?? []), String(!all)])].sort();
    const { ImagesDeleted, SpaceReclaimed } = await client.images.prune({ ...filters, dangling });
    const lines = (ImagesDeleted ?? []).map(({ Untagged, Deleted }) =>
      Untagged ? `untagged: ${Untagged}` : `deleted: ${Deleted}`,
    );
    return { text: titled("Deleted Images:", lines), reclaimed: SpaceReclaimed };
  },
  volumes: async ({ client }, filters, all) => {
    const { VolumesDeleted, SpaceReclaimed } = await client.volumes.prune(
      all ? { ...filters, all: ["true"] } : filters,
    );
    return { text: titled("Deleted Volumes:", VolumesDeleted), reclaimed: SpaceReclaimed };
  },
  networks: async ({ client }, filters) => {
    const { NetworksDeleted } = await client.networks.prune(filters);
    return { text: titled("Deleted Networks:", NetworksDeleted), reclaimed: undefined };
  },
  cache: (context, filters, all) => pruneCache(context, filters, all),
} satisfies Readonly<Record<string, Prune>>;

/** `keep`: bytes that may stay; 0: none. */
export async function pruneCache({ client }: Context, filters: Filters, all: boolean, keep = 0): Promise<Pruned> {
  const { CachesDeleted, SpaceReclaimed } = await client.system.pruneBuildCache(filters, all, keep);
  return { text: titled("Deleted build cache objects:", CachesDeleted), reclaimed: SpaceReclaimed };
}

function titled(title: string, lines: readonly string[] | null): string {
  return lines === null || lines.length === 0 ? "" : `${[title, ...lines].join("\n")}\n`;
}

/** Asks unless `--force`; prunes; tells. Resolves with the exit code. */
export async function pruneCommand(
  context: Context,
  flags: ParsedFlags,
  prune: Prune,
  warning: string,
  all = false,
): Promise<number> {
  await confirm(context, flags, `WARNING! ${warning}\nAre you sure you want to continue?`);
  const { text, reclaimed } = await prune(context, filtersOf(flags.list("filter")), all);
  if (text !== "") context.out.write(`${text}\n`);
  if (reclaimed !== undefined) context.out.write(`Total reclaimed space: ${humanSize(reclaimed)}\n`);
  return 0;
}

/** Ends the command, in silence and well as docker does, when the answer is not yes. */
export async function confirm(context: Context, flags: ParsedFlags, question: string): Promise<void> {
  if (flags.bool("force")) return;
  context.out.write(`${question} [y/N] `);
  for await (const chunk of process.stdin) {
    if (/^y(es)?$/i.test(String(chunk).split("\n")[0]?.trim() ?? "")) return;
    break;
  }
  throw new ExitError(0);
}
