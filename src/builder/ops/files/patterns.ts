import { pathMatch } from "../../../images/path-match.ts";

export interface IgnoreMatcher {
  /** Whether the path, or a folder it lies in, is left out: the last pattern that fits decides. */
  excludes(path: string): boolean;
  /** There are `!` patterns: something in a folder that is left out may be wanted. */
  readonly hasExceptions: boolean;
}

const NOTHING: IgnoreMatcher = Object.freeze({ excludes: () => false, hasExceptions: false });

export function ignoreMatcher(lines: readonly string[]): IgnoreMatcher {
  const rules = lines.flatMap(ruleOf);
  if (rules.length === 0) return NOTHING;
  return {
    hasExceptions: rules.some(({ exception }) => exception),
    excludes(path) {
      let out = false;
      for (const { exception, expression } of rules) if (out === exception && fits(expression, path)) out = !exception;
      return out;
    },
  };
}

/** One part of a path, by Go's filepath.Match. */
export function matchName(pattern: string, name: string): boolean {
  return pathMatch(pattern, name);
}

interface Rule {
  readonly exception: boolean;
  readonly expression: RegExp;
}

function ruleOf(line: string): Rule[] {
  const text = line.trim();
  const exception = text.startsWith("!");
  const parts: string[] = [];
  for (const part of text
    .slice(exception ? 1 : 0)
    .trim()
    .split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.length === 0 || text.startsWith("#") ? [] : [{ exception, expression: compile(parts.join("/")) }];
}

/** The path itself, or one of the folders above it. */
function fits(expression: RegExp, path: string): boolean {
  for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1))
    if (expression.test(path.slice(0, end))) return true;
  return false;
}

const QUOTED = /[.+()|{}^$]/;

function compile(pattern: string): RegExp {
  let source = "^";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    if (char === "*" && pattern[at + 1] === "*") {
      at++;
      if (pattern[at + 1] === "/") at++;
      source += at >= pattern.length - 1 ? ".*" : "(?:.*/)?";
    } else if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "\\") source += `\\${pattern[++at] ?? "\\"}`;
    else if (QUOTED.test(char)) source += `\\${char}`;
    else source += char;
  }
  return new RegExp(`${source}$`, "s");
}
