/** `--help`, and the table of docs/daemon.md, from the options. */
import { OPTIONS, type Option } from "./options.ts";
import { KINDS } from "./values.ts";

export function helpText(name: string): string {
  const shown = OPTIONS.filter(({ flag }) => flag !== undefined);
  const width = Math.max(...shown.map((option) => flagText(option).length)) + 3;
  const lines = shown.map((option) => `${flagText(option).padEnd(width)}${plain(option.does)}`);
  return `Usage:  ${name} [OPTIONS]\n\nThe daemon of a container engine that speaks the Docker Engine API.\n\nOptions:\n${lines.join("\n")}\n`;
}

function flagText({ flag, short, kind }: Option): string {
  const { word } = KINDS[kind];
  return `  ${short === undefined ? "    " : `-${short}, `}--${flag}${word === "" ? "" : ` ${word}`}`;
}

const plain = (text: string): string => text.replaceAll("`", "").replace(/\.$/, "");

/** A Markdown table: every option with its flag, its key, and what it does here. */
export function optionsTable(): string {
  const rows = OPTIONS.map(
    (option) =>
      `| ${flagCell(option)} | ${option.flagOnly ? "" : `\`${option.key}\``} | ${option.does}${option.reloads ? " Reloads." : ""} |`,
  );
  return ["| Flag | Key in daemon.json | Here |", "|---|---|---|", ...rows].join("\n");
}

const flagCell = ({ flag, short }: Option): string =>
  flag === undefined ? "" : `\`--${flag}\`${short === undefined ? "" : `, \`-${short}\``}`;
