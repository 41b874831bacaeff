/**
 * Lists: a table of columns gives the default table, `--quiet`, `--format table …`, `--format json` and templates.
 * The template engine is loaded only for a template.
 */
import type { Context } from "../context.ts";
import type { FlagSpec } from "../flags/spec.ts";
import { alignCells } from "./tabwriter.ts";

export interface Column<T> {
  readonly name: string;
  readonly header: string;
  of(row: T): string;
}

export interface Listing<T> {
  readonly columns: readonly Column<T>[];
  /** Names of the columns of the default table. */
  readonly shown: readonly string[];
  /** What `--quiet` prints. */
  readonly quiet?: string;
  /** Docker's name of the row's type, for errors. */
  readonly type: string;
  /** Methods of a row that templates may call with arguments (`.Label "x"`). */
  readonly methods?: Readonly<Record<string, { readonly header: string; of(row: T): (argument: unknown) => unknown }>>;
}

export const FORMAT_FLAG: FlagSpec = {
  name: "format",
  type: "string",
  help: "How to print: 'table' (default), 'table TEMPLATE', 'json', or a Go template",
};

export interface ListingOptions {
  readonly format: string;
  readonly quiet?: boolean;
}

export async function printListing<T>(
  context: Context,
  listing: Listing<T>,
  rows: readonly T[],
  { format, quiet = false }: ListingOptions,
): Promise<void> {
  if (quiet && (format === "" || format === "table")) {
    const column = columnNamed(listing, listing.quiet ?? "ID");
    context.out.write(rows.map((row) => `${column?.of(row) ?? ""}\n`).join(""));
  } else if (format === "" || format === "table") {
    const columns = listing.shown.map((name) => columnNamed(listing, name)).filter((column) => column !== undefined);
    const cells = rows.map((row) => columns.map((column) => column.of(row)));
    context.out.write(alignCells([columns.map(({ header }) => header), ...cells]));
  } else {
    const { printTemplate } = await import("./rows-template.ts");
    printTemplate(context, listing, rows, format);
  }
}

function columnNamed<T>(listing: Listing<T>, name: string): Column<T> | undefined {
  return listing.columns.find((column) => column.name === name);
}
