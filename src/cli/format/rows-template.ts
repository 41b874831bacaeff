/** Rows by the user's template: `json`, `table TEMPLATE` with headers from the columns, or a line per row. */

import { type Compiled, compileTemplate } from "../../base/template/evaluate.ts";
import type { TemplateFunction } from "../../base/template/functions.ts";
import { goJson } from "../../base/template/json.ts";
import { TemplateError } from "../../base/template/lex.ts";
import { ExitError } from "../command.ts";
import type { Context } from "../context.ts";
import type { Listing } from "./listing.ts";
import { alignCells } from "./tabwriter.ts";

/** What the functions make of a header: itself, in any case. */
const HEADER_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => value,
  split: (value) => value,
  join: (value) => value,
  title: (value) => value,
  lower: (value) => value,
  upper: (value) => value,
  truncate: (value) => value,
};

/** A row as a whole is escaped for HTML, as Go's encoder does by itself; docker's function leaves values as they are. */
const ROW_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => goJson(value, { html: typeof value === "object" }),
};

export function printTemplate<T>(context: Context, listing: Listing<T>, rows: readonly T[], format: string): void {
  if (format === "json") {
    context.out.write(rows.map((row) => `${goJson(rowValues(listing, row), { html: true })}\n`).join(""));
    return;
  }
  const table = /^table(?:\s|$)/.test(format);
  const source = controlCharacters(table ? format.slice("table".length).trim() : format);
  const template = compiled(source);
  const run = (data: unknown, functions?: Readonly<Record<string, TemplateFunction>>) =>
    template.run(data, { missingKey: "no-value", rootType: listing.type, functions: functions ?? ROW_FUNCTIONS });
  const lines = guarded(() => rows.map((row) => run({ ...rowValues(listing, row), ...methodsOf(listing, row) })));
  if (!table) {
    context.out.write(lines.map((line) => `${line}\n`).join(""));
    return;
  }
  const header = guarded(() => run(headersOf(listing), HEADER_FUNCTIONS));
  const all = [header, ...lines].join("\n");
  context.out.write(alignCells(all.split("\n").map((line) => line.split("\t"))));
}

/** Throws docker's "template parsing error". */
export function compiled(source: string): Compiled {
  return guarded(() => compileTemplate(source));
}

export function guarded<R>(act: () => R, executing = "failed to execute template: "): R {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    const parsing = !error.message.includes("executing");
    throw new ExitError(1, `${parsing ? "failed to parse template: " : executing}${error.message}`);
  }
}

/** People write \t and \n in templates. */
function controlCharacters(text: string): string {
  return text.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}

/** The columns' texts by name. */
export function rowValues<T>(listing: Listing<T>, row: T): Record<string, string> {
  return Object.fromEntries(listing.columns.map((column) => [column.name, column.of(row)]));
}

function methodsOf<T>(listing: Listing<T>, row: T): Record<string, unknown> {
  return Object.fromEntries(Object.entries(listing.methods ?? {}).map(([name, method]) => [name, method.of(row)]));
}

function headersOf<T>(listing: Listing<T>): Record<string, unknown> {
  const headers = Object.fromEntries(listing.columns.map(({ name, header }) => [name, header]));
  const methods = Object.entries(listing.methods ?? {}).map(([name, { header }]) => [
    name,
    (argument: unknown) => headerOfArgument(header, argument),
  ]);
  return { ...headers, ...Object.fromEntries(methods) };
}

/** A label's name is its column's header. */
function headerOfArgument(header: string, argument: unknown): string {
  return typeof argument === "string" ? (argument.split(/[-_.]/).at(-1) ?? header) : header;
}
