/** `--volume`: a path alone is an anonymous volume; with a source it is a bind or a named volume, which the daemon tells apart. */
import { resolve } from "node:path";

export function anonymousVolumes(words: readonly string[]): Record<string, Record<string, unknown>> {
  return Object.fromEntries(words.filter((word) => !word.includes(":")).map((word) => [word, {}]));
}

/** Relative sources count from the working folder. */
export function binds(words: readonly string[]): string[] {
  return words
    .filter((word) => word.includes(":"))
    .map((word) => {
      const colon = word.indexOf(":");
      const source = word.slice(0, colon);
      return /^\.{1,2}(\/|$)/.test(source) ? resolve(source) + word.slice(colon) : word;
    });
}

/** "/run:size=1m" → {"/run": "size=1m"}. */
export function tmpfsMounts(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const colon = word.indexOf(":");
      return colon < 0 ? [word, ""] : [word.slice(0, colon), word.slice(colon + 1)];
    }),
  );
}
