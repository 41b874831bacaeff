/** "did you mean": the known word nearest to a mistyped one. */

/** Farther than this is another word. */
const FARTHEST = 2;
/** Nobody mistypes a word of this length; the table of distances stays small. */
const LONGEST = 64;

/** The nearest of `known`, at most two changed letters away; undefined when none is, or one is equal. */
export function suggest(word: string, known: Iterable<string>, caseSensitive = true): string | undefined {
  const fold = (text: string) => (caseSensitive ? text : text.toLowerCase());
  if (word === "" || word.length > LONGEST) return undefined;
  let best: string | undefined;
  let least = FARTHEST + 1;
  for (const candidate of known) {
    const distance = editDistance(fold(word), fold(candidate));
    if (distance === 0) return undefined;
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** " (did you mean X?)", or nothing. */
export function suggestion(word: string, known: Iterable<string>, caseSensitive = true): string {
  const found = suggest(word, known, caseSensitive);
  return found === undefined ? "" : ` (did you mean ${found}?)`;
}

/** Levenshtein's; more than the bound is given as the bound and one. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > FARTHEST) return FARTHEST + 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
