import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PatternList, parseIgnoreFile } from "./ignore.ts";
import { compilePattern, hasWildcards } from "./path-pattern.ts";

/** pattern, path, whether it matches the path itself, whether it matches with the folders above */
const DEEP: readonly (readonly [string, string, boolean, boolean?])[] = [
  ["**", "file", true],
  ["**/", "dir/file", true],
  ["**/**", "dir/file", true],
  ["dir/**", "dir/dir2/file", true],
  ["dir/**", "dir", false],
  ["**/dir", "dir", true],
  ["**/dir", "dir/file", false, true],
  ["**/dir2/*", "dir/dir2/file", true],
  ["**/dir2/**", "dir/dir2/dir3/file", true],
  ["**file", "dir/dir/file", true],
  ["**/file*", "dir/dir/file.txt", true],
  ["**/**/*.txt", "file.txt", true],
  ["**/**/*.txt2", "dir/file.txt", false],
  ["a**/*.txt", "a/dir/file.txt", true],
  ["a/*.txt", "a/dir/file.txt", false],
  ["a/*.txt**", "a/file.txt", true],
  ["a[b-d]e", "ace", true],
  ["a[^b-d]e", "aze", true],
  ["a[^b-d]e", "ace", false],
  [".*", ".foo", true],
  [".*", "foo", false],
  ["abc.def", "abcZdef", false],
  ["abc?def", "abcZdef", true],
  ["**/.foo", "bar.foo", false],
  ["a.|)$(}+{bc", "a.|)$(}+{bc", true],
  ["a\\*b", "a*b", true],
  ["a?b", "a☺b", true],
  ["a?b", "a/b", false],
];

for (const [pattern, path, self, above = self] of DEEP)
  test(`${pattern} and ${path}`, () => {
    assert.equal(compilePattern(pattern.replace(/\/$/, ""), { deep: true }).matches(path), self);
    assert.equal(new PatternList([pattern]).matches(path), above);
  });

test("as Go's filepath.Match, two stars are one", () => {
  const matches = (pattern: string, path: string) => compilePattern(pattern, { deep: false }).matches(path);
  assert.ok(matches("**", "a"));
  assert.ok(!matches("**", "a/b"));
  assert.ok(matches("a*b*c*d*e*/f", "axbxcxdxexxx/f"));
  assert.ok(!matches("a*b*c*d*e*/f", "axbxcxdxexxx/fff"));
  assert.ok(matches("[\\]a]", "]"));
  assert.ok(matches("[\\-x]", "-"));
  assert.ok(matches("[a-ζ]*", "α"));
  assert.ok(!matches("a[^x]b", "a/b"));
  assert.ok(matches("arr[[]0].txt", "arr[0].txt"));
});

test("patterns that are none are refused", () => {
  for (const pattern of ["[", "[]a]", "[-]", "[x-]", "[a-b-c]", "[^", "a[", "\\", "x".repeat(5000)])
    assert.throws(() => new PatternList([pattern]), { kind: "invalid", message: "syntax error in pattern" });
  assert.throws(() => new PatternList(["!"]), { message: 'illegal exclusion pattern: "!"' });
});

test("more patterns than anyone writes are refused", () => {
  const patterns = Array.from({ length: 5_001 }, (_, at) => `*/${at}`);
  assert.throws(() => new PatternList(patterns), { kind: "too-large", message: /5001 patterns.*at most 5000/ });
  assert.ok(new PatternList(patterns.slice(1)).matches("a/5000"));
});

/** patterns, path, ignored */
const LISTS: readonly (readonly [readonly string[], string, boolean])[] = [
  [["!file.go", "*.go"], "file.go", true],
  [["*.go", "!file.go"], "file.go", false],
  [["docs", "!docs/README.md"], "docs/README.md", false],
  [["docs", "!docs/README.md"], "docs/other", true],
  [["docs/", "!docs/README.md"], "docs/README.md", false],
  [["docs/*", "!docs/README.md"], "docs/README.md", false],
  [["**", "!util/docker/web"], "util/docker/web/foo", false],
  [["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true],
  [["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true],
  [["*.md", "README-secret.md", "!README*.md"], "README-secret.md", false],
  [["**/*.go", "!lib"], "lib/a.go", true],
  [["**/*.go", "!lib/**"], "lib/a.go", false],
  [["*", "**/*.go", "!lib"], "lib/a.go", false],
  [["*", "!lib/a.go", "lib"], "lib/a.go", false],
  [["*", "!lib/a.go", "lib"], "lib/b.go", true],
  [["!lib", "lib/a.go"], "lib/a.go", true],
  [[" spaced ", ""], "spaced", true],
  [["/rooted/", "../up"], "rooted", true],
  [[], "any", false],
];

for (const [patterns, path, ignored] of LISTS)
  test(`${JSON.stringify(patterns)} and ${path}`, () => assert.equal(new PatternList(patterns).matches(path), ignored));

test("a .dockerignore file", () => {
  const text = "\ufeff# comment\n\n  */temp*  \r\n!  keep/./me/ \n/root/\n # pattern\n!\n/";
  assert.deepEqual(parseIgnoreFile(text), ["*/temp*", "!keep/me", "root", "# pattern", "!", "/"]);
});

test("folders that hold nothing to keep need not be walked", () => {
  const list = new PatternList(["*", "!src/**/*.ts", "!keep/this", "src/gen"]);
  const below = (folder: string) => {
    let state = list.root;
    const parts = folder.split("/");
    for (const end of parts.keys()) state = list.enter(state, parts.slice(0, end + 1).join("/"));
    return list.mayMissBelow(state, folder);
  };
  assert.deepEqual(["src", "src/a/b", "keep", "keep/other", "src/gen", "node_modules", "src2"].map(below), [
    true,
    true,
    true,
    false,
    true,
    false,
    false,
  ]);
});

const name = fc.constantFrom("a", "b", "ab", "c.txt");
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const piece = fc.constantFrom("a", "b", "*", "?", "**", "[ab]", "a*", "*.txt");
const pattern = fc
  .tuple(fc.constantFrom("", "!"), fc.array(piece, { minLength: 1, maxLength: 3 }))
  .map(([sign, parts]) => sign + parts.join("/"));

test("no folder is passed over that has something to keep", () => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 4 }), path, (patterns, path) => {
      const list = new PatternList(patterns);
      const parts = path.split("/");
      let state = list.root;
      for (const end of parts.keys()) {
        const part = parts.slice(0, end + 1).join("/");
        state = list.enter(state, part);
        if (part !== path && !list.mayMissBelow(state, part)) return list.matches(path);
      }
      return state.matched === list.matches(path);
    }),
    { numRuns: 2000 },
  );
});

/** The same by regular expressions, as Docker's matcher makes them. */
function slowMatch(pattern: string, path: string): boolean {
  const source = pattern.replace(/\*\*\/?|[*?.]/g, (found, at: number) => {
    if (found.startsWith("**")) return at + found.length === pattern.length ? ".*" : "(.*/)?";
    return found === "*" ? "[^/]*" : found === "?" ? "[^/]" : "\\.";
  });
  return new RegExp(`^${source}$`, "su").test(path);
}

test("patterns match what regular expressions match", () => {
  fc.assert(
    fc.property(pattern, path, (pattern, path) => {
      const plain = pattern.replace("!", "");
      return compilePattern(plain, { deep: true }).matches(path) === slowMatch(plain, path);
    }),
    { numRuns: 5000 },
  );
});

test("a pattern made to be slow is not", () => {
  const list = new PatternList([`${"**/*a".repeat(400)}b`]);
  // By trying one after another, what the stars stand for, this would take for ever.
  assert.equal(list.matches(`${"a/".repeat(60)}a`), false);
});

test("wildcards are known from escaped ones", () => {
  assert.deepEqual(["a*", "a\\*", "a[b", "\\\\?", "ab"].map(hasWildcards), [true, false, true, true, false]);
});
