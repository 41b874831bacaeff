/** Help from the tables, laid out as docker's. */
import type { Command } from "./command.ts";
import { COMMANDS, type Entry, GROUPS, groupSummary } from "./commands/table.ts";
import type { FlagSpec } from "./flags/spec.ts";
import { GLOBAL_FLAGS } from "./globals.ts";

const WIDTH = 80;

export function commandHelp(program: string, entry: Entry, words: string, command: Command): string {
  const flags = [...(command.flags ?? [])].filter((flag) => !flag.hidden);
  const names = [...entry.names].sort().map((name) => `${program} ${name}`);
  const parts = [`Usage:  ${program} ${words} ${command.usage}`.trimEnd(), entry.summary];
  if (names.length > 1) parts.push(`Aliases:\n  ${names.join(", ")}`);
  if (flags.length > 0) parts.push(`Options:\n${flagLines(flags)}`);
  return `${parts.join("\n\n")}\n`;
}

export function groupHelp(program: string, group: string): string {
  const own = COMMANDS.filter((entry) => !entry.hidden).flatMap((entry) => {
    const name = entry.names.find((one) => one.startsWith(`${group} `));
    return name === undefined ? [] : [{ name: name.slice(group.length + 1), summary: entry.summary }];
  });
  return [
    `Usage:  ${program} ${group} COMMAND`,
    groupSummary(group),
    `Commands:\n${rows(own)}`,
    `Run '${program} ${group} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
}

export function mainHelp(program: string): string {
  const single = (common: boolean) =>
    COMMANDS.filter((entry) => !entry.hidden && Boolean(entry.common) === common).flatMap((entry) => {
      const name = entry.names[0] ?? "";
      return name.includes(" ") ? [] : [{ name, summary: entry.summary }];
    });
  return [
    `Usage:  ${program} [OPTIONS] COMMAND`,
    "A container engine that speaks the Docker Engine API",
    `Common Commands:\n${rows(single(true), false)}`,
    `Management Commands:\n${rows(Object.entries(GROUPS).map(([name, summary]) => ({ name, summary })))}`,
    `Commands:\n${rows(single(false))}`,
    `Global Options:\n${flagLines(GLOBAL_FLAGS)}`,
    `Run '${program} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
}

function rows(entries: readonly { readonly name: string; readonly summary: string }[], sort = true): string {
  const sorted = sort ? entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)) : entries;
  const width = Math.max(11, ...sorted.map(({ name }) => name.length));
  return sorted.map(({ name, summary }) => `  ${name.padEnd(width)} ${summary}`).join("\n");
}

function flagLines(flags: readonly FlagSpec[]): string {
  const sorted = flags.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const lefts = sorted.map(left);
  const column = Math.max(...lefts.map((text) => text.length)) + 3;
  return sorted
    .map((flag, index) => {
      const [first = "", ...rest] = wrap(right(flag), Math.max(WIDTH - column - 1, 24));
      return [`${(lefts[index] ?? "").padEnd(column)}${first}`, ...rest.map((line) => " ".repeat(column) + line)].join(
        "\n",
      );
    })
    .join("\n");
}

const VALUE_NAMES: Partial<Record<FlagSpec["type"], string>> = { bool: "", strings: "strings" };

function left(flag: FlagSpec): string {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  const value = flag.value ?? VALUE_NAMES[flag.type] ?? flag.type;
  return `  ${short}--${flag.name}${value === "" ? "" : ` ${value}`}`;
}

function right(flag: FlagSpec): string {
  const { default: value = "" } = flag;
  if (value === "" || (flag.type === "bool" && value === "false")) return flag.help;
  return `${flag.help} (default ${flag.type === "string" ? JSON.stringify(value) : value})`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines;
}
