import assert from "node:assert/strict";
import { test } from "node:test";
import { EXPANSION_LIMIT, type ExpandOptions, ExpansionError, expand } from "./expand.ts";

const ENV = new Map([
  ["FOO", "foobarbaz"],
  ["EMPTY", ""],
  ["SPACED", "a  b"],
  ["STARS", "a***yy*"],
  ["PATH_", "/tmp/tmp/x.txt"],
  ["P", "/tmp"],
]);

const text = (source: string, options: Partial<ExpandOptions> = {}) => expand(source, { env: ENV, ...options }).text;

/** source, result */
const CASES: readonly (readonly [string, string])[] = [
  ["plain", "plain"],
  ["$FOO", "foobarbaz"],
  ["${FOO}_x", "foobarbaz_x"],
  ["$FOO_x", ""],
  ["$1abc", "abc"],
  ["$", "$"],
  ["a$ b", "a$ b"],
  ["\\$FOO", "$FOO"],
  ["\\${FOO}", "${FOO}"],
  ["'$FOO'", "$FOO"],
  ['"$FOO"', "foobarbaz"],
  ['"a\'b"', "a'b"],
  ["'a\"b'", 'a"b'],
  ['"\\a\\"\\$\\\\"', '\\a"$\\'],
  ["a\\ b", "a b"],
  ["a\\", "a"],
  ["${NONE:-word}", "word"],
  ["${EMPTY:-word}", "word"],
  ["${EMPTY-word}", ""],
  ["${NONE-word}", "word"],
  ["${FOO:+word}", "word"],
  ["${EMPTY:+word}", ""],
  ["${EMPTY+word}", "word"],
  ["${NONE+word}", ""],
  ["${FOO:?no}", "foobarbaz"],
  ["${EMPTY?no}", ""],
  ["${NONE:-${FOO:-x}}", "foobarbaz"],
  ['${NONE:-"a } b"}', "a } b"],
  ["${NONE:-a\\}b}", "a}b"],
  ["${FOO#f*b}", "arbaz"],
  ["${FOO##f*b}", "az"],
  ["${FOO%b*}", "foobar"],
  ["${FOO%%b*}", "foo"],
  ["${FOO#x}", "foobarbaz"],
  ["${FOO#???}", "barbaz"],
  ["${FOO/ba/fo}", "fooforbaz"],
  ["${FOO//ba/fo}", "fooforfoz"],
  ["${FOO//b?/-}", "foo-r-z"],
  ["${FOO/b*/}", "foo"],
  ["${STARS%%\\**\\*}", "a"],
  ["${PATH_/$P/}", "/tmp/x.txt"],
  ["${PATH_//$P/}", "/x.txt"],
  ["${PATH_//\\//_}", "_tmp_tmp_x.txt"],
];

for (const [source, expected] of CASES)
  test(`${source} is ${JSON.stringify(expected)}`, () => assert.equal(text(source), expected));

/** source, message */
const BROKEN: readonly (readonly [string, string])[] = [
  ["'a", "unexpected end of statement while looking for matching single-quote"],
  ['"a', "unexpected end of statement while looking for matching double-quote"],
  ["${", "syntax error: missing '}'"],
  ["${}", "syntax error: bad substitution"],
  ["${{x}", "syntax error: bad substitution"],
  ["${FOO", "syntax error: missing '}'"],
  ["${FOO:-x", "syntax error: missing '}'"],
  ["${FOO/x}", "syntax error: missing '/' in ${}"],
  ["${FOO/x/y", "syntax error: missing '}'"],
  ["${FOO=x}", "unsupported modifier (=) in substitution"],
  ["${FOO:=x}", "unsupported modifier (:=) in substitution"],
  ["${NONE:?must be set}", "NONE: must be set"],
  ["${NONE?}", "NONE: is not allowed to be unset"],
  ["${EMPTY:?}", "EMPTY: is not allowed to be empty"],
  ["${FOO#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"],
];

for (const [source, message] of BROKEN)
  test(`${source} is refused`, () =>
    assert.throws(() => text(source), {
      name: "ExpansionError",
      message: `failed to process ${JSON.stringify(source)}: ${message}`,
    }));

test("the escape character may be a backquote", () => {
  assert.equal(text("`$FOO c:\\x", { escapeChar: "`" }), "$FOO c:\\x");
});

test("in a heredoc quotes are characters and escapes are not", () => {
  assert.equal(text("\"$FOO\" 'x' \\$FOO\n\\\n", { ignoreQuotes: true }), "\"foobarbaz\" 'x' $FOO\n\n");
});

test("raw keeps everything and cuts words outside quotes", () => {
  const { words } = expand("cat <<'E F' > \"a b\" \\x $NONE", { env: new Map(), raw: true });
  assert.deepEqual(words, ["cat", "<<'E F'", ">", '"a b"', "\\x", "$NONE"]);
});

test("white space of variables cuts words, white space in quotes does not", () => {
  assert.deepEqual(expand("x$SPACED", { env: ENV }).words, ["xa", "b"]);
  assert.deepEqual(expand('"$SPACED" c', { env: ENV }).words, ["a  b", "c"]);
});

test("names that are used and names that are not set are told", () => {
  const { used, unset } = expand("$FOO $NONE ${NADA:-$EMPTY}", { env: ENV });
  assert.deepEqual([...used], ["FOO", "EMPTY"]);
  assert.deepEqual([...unset], ["NONE"]);
});

test("deep nesting is refused", () => {
  assert.throws(() => text("${A:-".repeat(5000) + "}".repeat(5000)), ExpansionError);
});

test("a result of more than the limit is refused", () => {
  const env = new Map([["A", "x".repeat(EXPANSION_LIMIT / 4)]]);
  assert.throws(() => text("$A$A$A$A$A$A", { env }), /longer than/);
});

test("a pattern made to be slow is refused after bounded work", () => {
  const env = new Map([
    ["A", "a".repeat(200_000)],
    ["P", `*${"a".repeat(5000)}b*${"a".repeat(5000)}b`],
  ]);
  assert.throws(() => text("${A//$P/x}", { env }), /too many steps/);
});
