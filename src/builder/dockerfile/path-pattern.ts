/**
 * Patterns of paths: Go's filepath.Match ("*" and "?" stop at "/", "[a-z]", "[^a-z]", "\" takes the next literally), and with `deep` also
 * "**", any number of folders. All states are followed at once, so the time is the pattern's length times the path's, whatever both are.
 */

export interface PathPattern {
  /** Of the whole path. */
  matches(path: string): boolean;
  /** Whether a path below this folder may match. Never false when one does. */
  mayMatchBelow(folder: string): boolean;
}

type Token =
  | { readonly kind: "literal"; readonly code: number }
  | { readonly kind: "class"; readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] }
  /** One character that is no "/". */
  | { readonly kind: "any" }
  /** Any number of them. */
  | { readonly kind: "star" }
  /** Nothing, or whole folders with the "/" after them. */
  | { readonly kind: "folders" }
  /** Everything there is. */
  | { readonly kind: "rest" };

const SLASH = 0x2f;
/** Longer ones are no patterns that people write. */
const LONGEST = 4096;

/** Throws SyntaxError "syntax error in pattern". */
export function compilePattern(pattern: string, { deep }: { readonly deep: boolean }): PathPattern {
  if (pattern.length > LONGEST) throw syntaxError();
  const tokens = tokenize(pattern, deep);
  const prefix = literalPrefix(tokens);
  if (prefix.length === tokens.length) {
    const text = String.fromCodePoint(...prefix);
    return { matches: (path) => path === text, mayMatchBelow: (folder) => text.startsWith(`${folder}/`) };
  }
  const start = String.fromCodePoint(...prefix);
  const rest = tokens.slice(prefix.length);
  return {
    matches: (path) => path.startsWith(start) && run(rest, path, start.length).accepted,
    mayMatchBelow: (folder) => {
      const path = `${folder}/`;
      if (path.length <= start.length) return start.startsWith(path);
      return path.startsWith(start) && run(rest, path, start.length).alive;
    },
  };
}

/** Whether it has "*", "?" or "[" that mean something. */
export function hasWildcards(pattern: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(pattern);
}

function literalPrefix(tokens: readonly Token[]): number[] {
  const end = tokens.findIndex(({ kind }) => kind !== "literal");
  return tokens.slice(0, end < 0 ? tokens.length : end).map((token) => (token.kind === "literal" ? token.code : 0));
}

function tokenize(pattern: string, deep: boolean): Token[] {
  const codes = Array.from(pattern, (char) => char.codePointAt(0) ?? 0);
  const tokens: Token[] = [];
  for (let at = 0; at < codes.length; at++) {
    const char = String.fromCodePoint(codes[at] ?? 0);
    if (char === "*" && deep && codes[at + 1] === codes[at]) {
      while (codes[at + 1] === codes[at]) at++;
      if (codes[at + 1] === SLASH) at++;
      tokens.push({ kind: at + 1 === codes.length ? "rest" : "folders" });
    } else if (char === "*") tokens.push({ kind: "star" });
    else if (char === "?") tokens.push({ kind: "any" });
    else if (char === "\\") tokens.push({ kind: "literal", code: codeAt(codes, ++at) });
    else if (char === "[") {
      const { token, end } = readClass(codes, at + 1);
      tokens.push(token);
      at = end;
    } else tokens.push({ kind: "literal", code: codes[at] ?? 0 });
  }
  return tokens;
}

function readClass(codes: readonly number[], start: number): { token: Token; end: number } {
  const negated = codes[start] === 0x5e;
  const ranges: [number, number][] = [];
  let at = negated ? start + 1 : start;
  while (codes[at] !== 0x5d || ranges.length === 0) {
    const low = readMember(codes, at);
    const high = codes[low.end] === 0x2d ? readMember(codes, low.end + 1) : low;
    ranges.push([low.code, high.code]);
    at = high.end;
  }
  return { token: { kind: "class", negated, ranges }, end: at };
}

function readMember(codes: readonly number[], at: number): { code: number; end: number } {
  const code = codeAt(codes, at);
  if (code === 0x5c) return { code: codeAt(codes, at + 1), end: at + 2 };
  if (code === 0x2d || code === 0x5d) throw syntaxError();
  return { code, end: at + 1 };
}

function codeAt(codes: readonly number[], at: number): number {
  const code = codes[at];
  if (code === undefined) throw syntaxError();
  return code;
}

function syntaxError(): SyntaxError {
  return new SyntaxError("syntax error in pattern");
}

/** The tokens that may come next, as indexes; the number of tokens means that all are matched. */
class States {
  readonly #tokens: readonly Token[];
  readonly #stamps: Int32Array;
  #round = 0;
  list: number[] = [];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#stamps = new Int32Array(tokens.length + 1).fill(-1);
  }

  clear(): void {
    this.#round++;
    this.list = [];
  }

  /** With those that can be reached from it without a character. */
  enter(index: number): void {
    for (let at = index; this.stay(at); at++) {
      const kind = this.#tokens[at]?.kind;
      if (kind !== "star" && kind !== "folders" && kind !== "rest") return;
    }
  }

  /** Itself alone; false when it is there already. */
  stay(index: number): boolean {
    if (this.#stamps[index] === this.#round) return false;
    this.#stamps[index] = this.#round;
    this.list.push(index);
    return true;
  }
}

function run(tokens: readonly Token[], text: string, from: number): { accepted: boolean; alive: boolean } {
  const states = new States(tokens);
  states.enter(0);
  for (let at = from; at < text.length; ) {
    const code = text.codePointAt(at) ?? 0;
    at += code > 0xffff ? 2 : 1;
    const before = states.list;
    states.clear();
    for (const index of before) advance(tokens, index, code, states);
    if (states.list.length === 0) return { accepted: false, alive: false };
  }
  return { accepted: states.list.includes(tokens.length), alive: true };
}

function advance(tokens: readonly Token[], index: number, code: number, states: States): void {
  const token = tokens[index];
  switch (token?.kind) {
    case "literal":
      if (token.code === code) states.enter(index + 1);
      break;
    case "any":
      if (code !== SLASH) states.enter(index + 1);
      break;
    case "class":
      if (code !== SLASH && inClass(token, code)) states.enter(index + 1);
      break;
    case "star":
      if (code !== SLASH) states.enter(index);
      break;
    case "folders":
      if (code === SLASH) states.enter(index + 1);
      states.stay(index);
      break;
    case "rest":
      states.enter(index);
  }
}

function inClass({ negated, ranges }: Extract<Token, { kind: "class" }>, code: number): boolean {
  return ranges.some(([low, high]) => low <= code && code <= high) !== negated;
}
