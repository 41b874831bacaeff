/**
 * Quotes, escapes and variables of a word: `$NAME`, `${NAME}`, and `${NAME<operator>word}`.
 *
 * Rules: Dockerfile reference, "Environment replacement"; where it is silent, as BuildKit does it: in double quotes a backslash escapes only
 * `"`, `$` and itself; outside, any character; within a pattern it stays, for the pattern to see.
 */
import { Budget, parsePattern, replaceMatches, trimEnd, trimStart } from "./glob.ts";

export interface ExpandOptions {
  readonly env: ReadonlyMap<string, string>;
  /** "\\" by default. */
  readonly escapeChar?: string | undefined;
  /** Quotes are characters like any other: in heredocs. */
  readonly ignoreQuotes?: boolean | undefined;
  /** Nothing is taken away: quotes, escapes and unset variables stay. Only the cutting into words is wanted. */
  readonly raw?: boolean | undefined;
  /** Quotes go away, unset variables stay as written. */
  readonly keepUnset?: boolean | undefined;
  readonly budget?: Budget | undefined;
}

export interface Expansion {
  readonly text: string;
  /** Cut at white space outside quotes, also at that from variables. */
  readonly words: readonly string[];
  /** Names asked for and not set, where the expression does not say what then. */
  readonly unset: ReadonlySet<string>;
  readonly used: ReadonlySet<string>;
}

/** UTF-16 units; what Linux takes of a single variable is less. */
export const EXPANSION_LIMIT = 1024 * 1024;
const MISSING_SLASH = "syntax error: missing '/' in ${}";
/** `${A:-${B:-...}}`. */
const DEEPEST = 100;

/** Throws ExpansionError. */
export function expand(source: string, options: ExpandOptions): Expansion {
  const lexer = new Lexer(source, options);
  try {
    const { text, words } = lexer.run();
    return { text, words, unset: lexer.unset, used: lexer.used };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    throw new ExpansionError(`failed to process ${quote(source)}: ${error.message}`);
  }
}

/** Has no place; whoever knows it makes a DockerfileError of this. */
export class ExpansionError extends Error {
  override readonly name = "ExpansionError";
}

function quote(text: string): string {
  return JSON.stringify(text.length <= 200 ? text : `${text.slice(0, 200)}...`);
}

/** Collects words; what is quoted never ends one. */
class Words {
  readonly words: string[] = [];
  #word = "";

  addQuoted(text: string): void {
    this.#word += text;
  }

  addPlain(text: string): void {
    const [first = "", ...others] = text.split(/[\s\u0085]+/);
    this.#word += first;
    for (const part of others) {
      this.end();
      this.#word = part;
    }
  }

  end(): void {
    if (this.#word !== "") this.words.push(this.#word);
    this.#word = "";
  }
}

const NAME = /[\p{L}\p{Nd}_]+/uy;
const DIGITS = /\p{Nd}+/uy;
const SPECIAL = "@*#?-$!";

class Lexer {
  readonly used = new Set<string>();
  readonly unset = new Set<string>();
  readonly #source: string;
  readonly #escape: string;
  readonly #options: ExpandOptions;
  readonly #budget: Budget;
  #at = 0;
  #depth = 0;
  #length = 0;

  constructor(source: string, options: ExpandOptions) {
    this.#source = source;
    this.#options = options;
    this.#escape = options.escapeChar ?? "\\";
    this.#budget = options.budget ?? new Budget();
  }

  run(): { text: string; words: readonly string[] } {
    return this.#until(undefined, this.#options.raw === true);
  }

  /** Up to a character, which is passed over, or the end. */
  #until(stop: string | undefined, keepEscapes: boolean): { text: string; words: readonly string[] } {
    const parts: string[] = [];
    const words = new Words();
    while (this.#at < this.#source.length) {
      const char = this.#source[this.#at];
      if (char === stop) break;
      const special = this.#special(char, keepEscapes);
      const text = special ?? this.#plain(stop);
      this.#grow(text);
      parts.push(text);
      if (special === undefined || char === "$") words.addPlain(text);
      else words.addQuoted(text);
    }
    if (stop !== undefined && this.#at++ >= this.#source.length)
      throw new SyntaxError(`unexpected end of statement while looking for matching ${stop}`);
    words.end();
    return { text: parts.join(""), words: words.words };
  }

  /** What a character that means something leads to; undefined when this one stands for itself. */
  #special(char: string | undefined, keepEscapes: boolean): string | undefined {
    if (char === "$") return this.#dollar();
    if (char === this.#escape) return this.#escaped(keepEscapes);
    if (this.#options.ignoreQuotes === true) return undefined;
    if (char === "'") return this.#singleQuoted();
    return char === '"' ? this.#doubleQuoted(keepEscapes) : undefined;
  }

  /** At least one character, up to the next that means something. */
  #plain(stop: string | undefined): string {
    const start = this.#at++;
    for (; this.#at < this.#source.length; this.#at++) {
      const char = this.#source[this.#at];
      if (char === stop || char === "$" || char === "'" || char === '"' || char === this.#escape) break;
    }
    return this.#source.slice(start, this.#at);
  }

  #grow(text: string): void {
    this.#length += text.length;
    if (this.#length > EXPANSION_LIMIT + this.#source.length)
      throw new RangeError(`the result is longer than ${EXPANSION_LIMIT} characters`);
  }

  #escaped(keep: boolean): string {
    const next = String.fromCodePoint(this.#source.codePointAt(this.#at + 1) ?? 0);
    const atEnd = this.#at + 1 >= this.#source.length;
    this.#at += 1 + (atEnd ? 0 : next.length);
    return (keep ? this.#escape : "") + (atEnd ? "" : next);
  }

  #singleQuoted(): string {
    const end = this.#source.indexOf("'", this.#at + 1);
    if (end < 0) throw new SyntaxError("unexpected end of statement while looking for matching single-quote");
    const [start, raw] = [this.#at, this.#options.raw === true];
    this.#at = end + 1;
    return this.#source.slice(raw ? start : start + 1, raw ? end + 1 : end);
  }

  #doubleQuoted(keepEscapes: boolean): string {
    const parts: string[] = [];
    this.#at++;
    for (;;) {
      const char = this.#source[this.#at];
      if (char === undefined)
        throw new SyntaxError("unexpected end of statement while looking for matching double-quote");
      if (char === "$") parts.push(this.#dollar());
      else {
        this.#at++;
        if (char === '"') break;
        parts.push(char === this.#escape ? this.#escapedInQuotes(keepEscapes) : char);
      }
    }
    return this.#options.raw === true ? `"${parts.join("")}"` : parts.join("");
  }

  /** The escape character is passed already. */
  #escapedInQuotes(keep: boolean): string {
    const next = this.#source[this.#at];
    if (next === undefined) return "";
    if (next !== '"' && next !== "$" && next !== this.#escape) return this.#escape + (keep ? this.#escape : "");
    this.#at++;
    return (keep ? this.#escape : "") + next;
  }

  #dollar(): string {
    const start = this.#at++;
    if (this.#source[this.#at] === "{") return this.#braced(start);
    const name = this.#name();
    if (name === "") return "$";
    return this.#value(name) ?? this.#unsetText(start, "");
  }

  /** What an unset variable gives. */
  #unsetText(start: number, otherwise: string): string {
    return this.#keepsUnset() ? this.#source.slice(start, this.#at) : otherwise;
  }

  #keepsUnset(): boolean {
    return this.#options.raw === true || this.#options.keepUnset === true;
  }

  #braced(start: number): string {
    if (++this.#depth > DEEPEST) throw new SyntaxError("syntax error: substitutions are nested too deeply");
    const next = this.#source[++this.#at];
    if (next === undefined) throw new SyntaxError("syntax error: missing '}'");
    if ("{}:".includes(next)) throw new SyntaxError("syntax error: bad substitution");
    const name = this.#name();
    const result = this.#operation(name, start);
    this.#depth--;
    return result;
  }

  #operation(name: string, start: number): string {
    const colon = this.#source[this.#at] === ":";
    if (colon) this.#at++;
    const char = this.#source[this.#at++] ?? "";
    if (char === "" && !colon) throw new SyntaxError("syntax error: missing '}'");
    if (char === "}" && !colon) return this.#value(name) ?? this.#unsetText(start, "");
    if (char === "/" && !colon) return this.#replace(name, start);
    if (char === "#" || char === "%") return this.#trim(name, char, start);
    const choose = Object.hasOwn(CHOICES, char) ? CHOICES[char] : undefined;
    if (choose === undefined)
      throw new SyntaxError(`unsupported modifier (${colon ? ":" : ""}${char}) in substitution`);
    const word = this.#word("}", false, "syntax error: missing '}'");
    const value = this.#options.env.get(name);
    if (value !== undefined) this.used.add(name);
    if (value === undefined && this.#keepsUnset()) return this.#source.slice(start, this.#at);
    return choose({ name, value, word, emptyIsUnset: colon });
  }

  #trim(name: string, side: "#" | "%", start: number): string {
    const longest = this.#source[this.#at] === side;
    if (longest) this.#at++;
    const pattern = this.#word("}", true, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#keepsUnset()) return this.#source.slice(start, this.#at);
    const trim = side === "#" ? trimStart : trimEnd;
    return trim(value ?? "", this.#pattern(pattern), longest, this.#budget);
  }

  #replace(name: string, start: number): string {
    const all = this.#source[this.#at] === "/";
    if (all) this.#at++;
    const pattern = this.#word("/", true, MISSING_SLASH);
    const replacement = this.#word("}", true, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#keepsUnset()) return this.#source.slice(start, this.#at);
    const glob = this.#pattern(pattern);
    return value === undefined ? "" : replaceMatches(value, glob, replacement, { all, budget: this.#budget });
  }

  #pattern(text: string) {
    try {
      return parsePattern(text);
    } catch (error) {
      throw new SyntaxError(`invalid pattern (${text}) in substitution: ${(error as Error).message}`);
    }
  }

  #word(stop: string, keepEscapes: boolean, atEnd: string): string {
    try {
      return this.#until(stop, keepEscapes).text;
    } catch (error) {
      if (error instanceof SyntaxError && this.#at >= this.#source.length) throw new SyntaxError(atEnd);
      throw error;
    }
  }

  /** Letters, digits and "_"; digits alone when it begins with one; one special character; or nothing. */
  #name(): string {
    const char = this.#source[this.#at] ?? "";
    if (char !== "" && SPECIAL.includes(char)) {
      this.#at++;
      return char;
    }
    DIGITS.lastIndex = NAME.lastIndex = this.#at;
    const name = (DIGITS.exec(this.#source) ?? NAME.exec(this.#source))?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  #value(name: string): string | undefined {
    const value = this.#options.env.get(name);
    (value === undefined ? this.unset : this.used).add(name);
    return value;
  }
}

interface Choice {
  readonly name: string;
  readonly value: string | undefined;
  readonly word: string;
  /** There was a colon. */
  readonly emptyIsUnset: boolean;
}

const CHOICES: Readonly<Record<string, (choice: Choice) => string>> = {
  "-": (choice) => (isMissing(choice) ? choice.word : (choice.value ?? "")),
  "+": (choice) => (isMissing(choice) ? "" : choice.word),
  "?": (choice) => {
    if (!isMissing(choice)) return choice.value ?? "";
    const reason = `is not allowed to be ${choice.value === undefined ? "unset" : "empty"}`;
    throw new SyntaxError(`${choice.name}: ${choice.word === "" ? reason : choice.word}`);
  },
};

function isMissing({ value, emptyIsUnset }: Choice): boolean {
  return value === undefined || (emptyIsUnset && value === "");
}
