/** Parser directives: `# name=value` at the very top. */
import type { Directives } from "./language.ts";
import { trimSpaces } from "./source.ts";

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=/;
const KNOWN = new Set(["syntax", "escape", "check"]);

export interface Directive {
  readonly name: "syntax" | "escape" | "check";
  readonly value: string;
}

/** A known directive with a value, or undefined. The line has no spaces before it. */
export function parseDirective(line: string): Directive | undefined {
  const match = DIRECTIVE.exec(line);
  const name = match?.[1]?.toLowerCase() ?? "";
  const value = trimSpaces(line.slice(match?.[0].length ?? 0));
  return KNOWN.has(name) && value !== "" ? { name: name as Directive["name"], value } : undefined;
}

/** The directives with one more. Gives the text of what is wrong with it otherwise. */
export function addDirective(known: Partial<Directives>, { name, value }: Directive): Partial<Directives> | string {
  if (known[name] !== undefined) return `only one ${name} parser directive can be used`;
  if (name === "escape" && value !== "\\" && value !== "`")
    return `invalid escape token '${value}' does not match \` or \\`;
  return { ...known, [name]: value };
}
