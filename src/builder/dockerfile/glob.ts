/**
 * The patterns within `${NAME#pattern}`: "*" is any text, "?" any character, a backslash makes "*", "?", "\", "/" and "}" literal.
 * No regular expressions: the time is bounded by a budget whatever the pattern.
 */

/** Steps that may still be taken; shared by all the words of an instruction. */
export class Budget {
  #left: number;

  /** Some 50 ms of work. */
  constructor(steps = 20_000_000) {
    this.#left = steps;
  }

  /** Throws RangeError when nothing is left. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) throw new RangeError("the expansion takes too many steps");
  }
}

/** One character, or ANY. */
type Unit = string;
const ANY: Unit = "";

/** The runs of units between the stars; at least one, and one more than there are stars. */
export type Pattern = readonly (readonly Unit[])[];

/** Throws SyntaxError for a backslash before anything else, or at the end. */
export function parsePattern(text: string): Pattern {
  const runs: Unit[][] = [[]];
  const characters = Array.from(text);
  for (let at = 0; at < characters.length; at++) {
    const char = characters[at] as string;
    const run = runs[runs.length - 1] as Unit[];
    if (char === "*") runs.push([]);
    else if (char === "?") run.push(ANY);
    else if (char === "\\") run.push(literal(characters[++at]));
    else run.push(char);
  }
  return runs;
}

function literal(char: string | undefined): Unit {
  if (char !== undefined && "*?\\/}".includes(char)) return char;
  throw new SyntaxError(`invalid escape '\\${char ?? ""}'`);
}

/** The text without the shortest or longest beginning that matches. */
export function trimStart(value: string, pattern: Pattern, longest: boolean, budget: Budget): string {
  const characters = Array.from(value);
  const end = matchEnd(characters, 0, pattern, longest, budget);
  return end === undefined ? value : characters.slice(end).join("");
}

/** The text without the shortest or longest end that matches. */
export function trimEnd(value: string, pattern: Pattern, longest: boolean, budget: Budget): string {
  const characters = Array.from(value).reverse();
  const mirrored = pattern.map((run) => run.toReversed()).reverse();
  const end = matchEnd(characters, 0, mirrored, longest, budget);
  return end === undefined ? value : characters.slice(end).reverse().join("");
}

/** The text with the first or every longest match replaced. An empty pattern matches nothing. */
export function replaceMatches(
  value: string,
  pattern: Pattern,
  replacement: string,
  { all, budget }: { readonly all: boolean; readonly budget: Budget },
): string {
  const characters = Array.from(value);
  const [first = []] = pattern;
  if (pattern.length === 1 && first.length === 0) return value;
  const parts: string[] = [];
  let at = 0;
  for (let done = false; !done && (at < characters.length || at === 0); done = !all || at === 0) {
    const start = findRun(characters, first, at, budget);
    const end = start === undefined ? undefined : matchEnd(characters, start, pattern, true, budget);
    if (start === undefined || end === undefined) break;
    parts.push(characters.slice(at, start).join(""), replacement);
    at = end;
  }
  return parts.join("") + characters.slice(at).join("");
}

/** Where a match that starts at `start` ends; undefined when none does. */
function matchEnd(
  text: readonly string[],
  start: number,
  [first = [], ...others]: Pattern,
  longest: boolean,
  budget: Budget,
): number | undefined {
  if (!runMatches(text, first, start, budget)) return undefined;
  let end = start + first.length;
  const last = others.at(-1);
  if (last === undefined) return end;
  for (const run of others.slice(0, -1)) {
    const found = findRun(text, run, end, budget);
    if (found === undefined) return undefined;
    end = found + run.length;
  }
  const found = longest ? findLastRun(text, last, end, budget) : findRun(text, last, end, budget);
  return found === undefined ? undefined : found + last.length;
}

function findRun(text: readonly string[], run: readonly Unit[], from: number, budget: Budget): number | undefined {
  for (let at = from; at + run.length <= text.length; at++) if (runMatches(text, run, at, budget)) return at;
  return undefined;
}

function findLastRun(text: readonly string[], run: readonly Unit[], from: number, budget: Budget): number | undefined {
  for (let at = text.length - run.length; at >= from; at--) if (runMatches(text, run, at, budget)) return at;
  return undefined;
}

function runMatches(text: readonly string[], run: readonly Unit[], start: number, budget: Budget): boolean {
  if (start + run.length > text.length) return false;
  let at = 0;
  while (at < run.length && (run[at] === ANY || run[at] === text[start + at])) at++;
  budget.spend(at + 1);
  return at === run.length;
}
