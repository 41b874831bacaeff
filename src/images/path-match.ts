import { EngineError } from "../base/errors.ts";

/** Go's path.Match: "*" and "?" stop at "/", "[a-z]" and "[^a-z]", "\" takes the next literally. The whole text must match. */
export function pathMatch(pattern: string, text: string): boolean {
  return compile(pattern).test(text);
}

function compile(pattern: string): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const { text, end } = bracket(pattern, at);
      source += text;
      at = end;
    } else if (char === "\\") source += quoted(pattern[++at]);
    else source += quoted(char);
  }
  return new RegExp(`^${source}$`, "su");
}

function bracket(pattern: string, start: number): { text: string; end: number } {
  let at = start + 1;
  const negated = pattern[at] === "^";
  if (negated) at++;
  const ranges: string[] = [];
  while (pattern[at] !== "]" || ranges.length === 0) {
    const [low, next] = member(pattern, at);
    const [high, end] = pattern[next] === "-" ? member(pattern, next + 1) : [low, next];
    if (low <= high) ranges.push(`${inClass(low)}-${inClass(high)}`);
    else ranges.push("");
    at = end;
  }
  const all = ranges.join("");
  // An empty class matches nothing, negated everything.
  return { text: `${negated ? "[^" : "["}${all}]`, end: at };
}

function member(pattern: string, at: number): [char: string, next: number] {
  const char = pattern[at];
  if (char === "\\") return [literal(pattern[at + 1]), at + 2];
  if (char === "-" || char === "]") throw badPattern();
  return [literal(char), at + 1];
}

function literal(char: string | undefined): string {
  if (char === undefined) throw badPattern();
  return char;
}

function quoted(char: string | undefined): string {
  return literal(char).replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}

function inClass(char: string): string {
  return char.replace(/[\\\]^[-]/, "\\$&");
}

function badPattern(): EngineError {
  return new EngineError("invalid", "syntax error in pattern");
}
