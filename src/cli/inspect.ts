/** Objects in full: the daemon's JSON as it came, indented, or each by a template. */
import { EngineError, errorKind } from "../base/errors.ts";
import { ExitError } from "./command.ts";
import type { Context } from "./context.ts";
import { errorText } from "./errors.ts";
import type { FlagSpec, ParsedFlags } from "./flags/spec.ts";
import { indentJson } from "./format/indent-json.ts";
import type { InspectedType } from "./format/typed.ts";

export const INSPECT_FORMAT: FlagSpec = {
  name: "format",
  short: "f",
  type: "string",
  help: "How to print: 'json' or a Go template",
};

interface Options {
  /** "": whatever has the name. */
  readonly type: string;
  readonly size?: boolean;
  readonly platform?: string;
  readonly verbose?: boolean;
}

type Read = (context: Context, name: string, options: Options) => Promise<string>;

/** In the order in which a name is looked for. */
const TYPES: Readonly<Record<InspectedType, Read>> = {
  container: ({ client }, name, { size = false }) => client.containers.inspectText(name, size),
  image: ({ client }, name, { platform }) => client.images.inspectText(name, platform),
  network: ({ client }, name, { verbose }) => client.networks.inspectText(name, verbose),
  volume: ({ client }, name) => client.volumes.inspectText(name),
};

export const INSPECTED_TYPES = Object.keys(TYPES) as readonly InspectedType[];

/** Goes on after errors and tells them at the end. Resolves with the exit code. */
export async function inspectObjects(context: Context, flags: ParsedFlags, options: Options): Promise<number> {
  const { type } = options;
  if (type !== "" && !(type in TYPES))
    throw new Error(
      `unknown type: ${JSON.stringify(type)}: must be one of ${INSPECTED_TYPES.map((one) => `"${one}"`).join(", ")}`,
    );
  if (flags.changed("type") && type === "")
    throw new Error(`type is empty: must be one of ${INSPECTED_TYPES.map((one) => `"${one}"`).join(", ")}`);
  const format = flags.text("format");
  const found: string[] = [];
  const complaints: string[] = [];
  const print = await printer(context, format);
  let printed = false;
  for (const name of flags.positional)
    try {
      const { type, text } = await read(context, name, options);
      if (print === undefined) found.push(text.trim());
      else {
        print(text, type);
        printed = true;
      }
    } catch (error) {
      complaints.push(error instanceof ExitError ? error.message : errorText(error));
    }
  if (print !== undefined && !printed) context.out.write("\n");
  if (print === undefined) context.out.write(`${together(found, format)}\n`);
  if (complaints.length > 0) context.err.write(`${complaints.join("\n")}\n`);
  return complaints.length > 0 ? 1 : 0;
}

function together(found: readonly string[], format: string): string {
  const list = `[${found.join(",")}]`;
  return format === "json" || found.length === 0 ? list : indentJson(list);
}

interface Found {
  readonly type: InspectedType;
  readonly text: string;
}

async function read(context: Context, name: string, options: Options): Promise<Found> {
  const types = options.type === "" ? INSPECTED_TYPES : [options.type as InspectedType];
  for (const type of types)
    try {
      return { type, text: await TYPES[type](context, name, options) };
    } catch (error) {
      const other = errorKind(error) === "not-found" || isNoName(error);
      if (options.type !== "" || !other) throw error;
    }
  throw new ExitError(1, `Error: No such object: ${name}`);
}

/** What is a good name for one kind may be none for another. */
function isNoName(error: unknown): boolean {
  return (
    error instanceof EngineError && error.kind === "invalid" && /invalid reference|volume name/.test(error.message)
  );
}

/** Undefined: all of them together as one JSON text. */
async function printer(
  context: Context,
  format: string,
): Promise<((text: string, type: InspectedType) => void) | undefined> {
  if (format === "" || format === "json") return undefined;
  const { inspectTemplate } = await import("./format/inspect-template.ts");
  const run = inspectTemplate(format);
  return (text, type) => context.out.write(`${run(text, type)}\n`);
}
