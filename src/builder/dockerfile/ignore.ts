/**
 * .dockerignore, and the patterns of `--exclude`: lists in which the last pattern that matches a path, or a folder above it, decides;
 * "!" takes what it matches out again. As in Docker's matcher, a pattern that changes nothing for a folder is forgotten for
 * what is in it: "*", "!lib/a.go", "lib" takes lib/a.go in.
 */
import { posix } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { compilePattern, type PathPattern } from "./path-pattern.ts";

/** The patterns of a .dockerignore file: comments, blank lines and spaces around are left out, "/" at both ends goes away. */
export function parseIgnoreFile(text: string): string[] {
  const lines = text.replace(/^\ufeff/, "").split("\n");
  return lines.flatMap((line) => (line.startsWith("#") ? [] : cleanLine(line)));
}

function cleanLine(line: string): string[] {
  const trimmed = line.trim();
  const inverted = trimmed.startsWith("!");
  const pattern = inverted ? trimmed.slice(1).trim() : trimmed;
  if (pattern === "") return inverted ? ["!"] : [];
  return [(inverted ? "!" : "") + cleanPath(pattern)];
}

function cleanPath(pattern: string): string {
  const clean = posix.normalize(pattern).replace(/(?<=.)\/$/, "");
  return clean.length > 1 && clean.startsWith("/") ? clean.slice(1) : clean;
}

interface Entry {
  readonly pattern: PathPattern;
  readonly inverted: boolean;
}

/** What is known of a folder when what is in it is looked at. */
export interface Matched {
  /** Whether the list matches the path itself. */
  readonly matched: boolean;
  /** For each pattern, whether it had a say for the path or a folder above. */
  readonly entries: readonly boolean[];
}

const MAX_PATTERNS = 5_000;

export class PatternList {
  readonly #entries: readonly Entry[];
  /** Of the folder that paths are relative to. */
  readonly root: Matched;
  readonly #inverts: boolean;

  /** Throws EngineError "invalid" for patterns that are none, "too-large" for too many: each is tried on each file. */
  constructor(patterns: readonly string[]) {
    if (patterns.length > MAX_PATTERNS)
      throw new EngineError(
        "too-large",
        `there are ${patterns.length} patterns to leave files out, at most ${MAX_PATTERNS} are read`,
        {
          hint: "Leave whole folders out, or use wildcards.",
        },
      );
    this.#entries = patterns.flatMap(readEntry);
    this.#inverts = this.#entries.some(({ inverted }) => inverted);
    this.root = Object.freeze({ matched: false, entries: Object.freeze(this.#entries.map(() => false)) });
  }

  /** Whether there are no patterns. */
  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Of a path relative to the root, no "/" around it. */
  matches(path: string): boolean {
    let state = this.root;
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1))
      state = this.enter(state, path.slice(0, slash));
    return this.enter(state, path).matched;
  }

  /** The same for a walk from above: `parent` is what this gave for the folder that the path is in. */
  enter(parent: Matched, path: string): Matched {
    let matched = false;
    const entries = this.#entries.map(({ pattern, inverted }, index) => {
      // Looked at only where it would change something.
      const hit = parent.entries[index] === true || (inverted === matched && pattern.matches(path));
      if (hit) matched = !inverted;
      return hit;
    });
    return { matched, entries };
  }

  /** Whether something below this folder may not be matched. False: the folder need not be walked. */
  mayMissBelow(state: Matched, folder: string): boolean {
    if (!state.matched) return true;
    if (!this.#inverts) return false;
    const decides = this.#entries.findLastIndex((_, index) => state.entries[index] === true);
    return this.#entries.some(
      ({ pattern, inverted }, index) => inverted && index > decides && pattern.mayMatchBelow(folder),
    );
  }
}

function readEntry(text: string): Entry[] {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  const inverted = trimmed.startsWith("!");
  const path = inverted ? trimmed.slice(1) : trimmed;
  if (path === "") throw new EngineError("invalid", 'illegal exclusion pattern: "!"');
  try {
    return [{ pattern: compilePattern(cleanPath(path), { deep: true }), inverted }];
  } catch (error) {
    const hint = `The pattern is ${JSON.stringify(text.slice(0, 200))}.`;
    throw new EngineError("invalid", (error as Error).message, { hint });
  }
}
