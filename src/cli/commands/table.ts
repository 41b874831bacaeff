/**
 * Every command: its names (the first is the one that help lists; the others do the same), a line about it, and where
 * its file is. Nothing of it is loaded before it is needed.
 */
import type { Command } from "../command.ts";

export interface Entry {
  readonly names: readonly string[];
  readonly summary: string;
  /** In help's first list. */
  readonly common?: boolean;
  readonly hidden?: boolean;
  load(): Promise<Command>;
}

/** First words of commands of two, with what they are about. */
export const GROUPS: Readonly<Record<string, string>> = {
  builder: "Manage builds",
  container: "Manage containers",
  context: "Manage contexts",
  image: "Manage images",
  network: "Manage networks",
  system: "Manage the engine",
  volume: "Manage volumes",
};

export function groupSummary(group: string): string {
  return GROUPS[group] ?? "";
}

export const COMMANDS: readonly Entry[] = [
  {
    names: ["run", "container run"],
    summary: "Create a container from an image and run it",
    common: true,
    load: async () => (await import("./run.ts")).command,
  },
  {
    names: ["ps", "container ls", "container list", "container ps"],
    summary: "List containers",
    common: true,
    load: async () => (await import("./ps.ts")).command,
  },
  {
    names: ["version"],
    summary: "Show the versions of client and daemon",
    common: true,
    load: async () => (await import("./version.ts")).command,
  },
  {
    names: ["create", "container create"],
    summary: "Create a container",
    load: async () => (await import("./create.ts")).command,
  },
];
