/** What is printed is read back, however it is laid out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Instruction } from "./language.ts";
import { parseDockerfile } from "./parse.ts";

/** An instruction as pieces between which white space may be, and what it must be read as. */
interface Model {
  readonly keyword: string;
  readonly pieces: readonly string[];
  readonly heredocs?: readonly { readonly name: string; readonly content: string }[];
  readonly expected: Record<string, unknown>;
}

const word = fc.stringMatching(/^[a-z0-9][a-z0-9./_*$-]{0,8}$/).filter((text) => text.toLowerCase() !== "as");
const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,6}$/);
const quoted = fc.oneof(
  word,
  fc.stringMatching(/^"[a-z ='$]{0,6}"$/),
  fc.stringMatching(/^'[a-z ="\\]{0,6}'$/),
  fc.constant("a\\ b"),
);
const text = fc.string({ unit: "grapheme-ascii", maxLength: 8 });
const json = fc.array(text, { minLength: 1, maxLength: 4 });
const flagText = fc.stringMatching(/^[a-z0-9:,./]{1,8}$/);

const model: fc.Arbitrary<Model> = fc.oneof(
  fc.tuple(fc.constantFrom("CMD", "ENTRYPOINT", "RUN"), json).map(([keyword, args]) => ({
    keyword,
    pieces: [JSON.stringify(args)],
    expected: { command: { form: "exec", args } },
  })),
  fc
    .tuple(fc.constantFrom("ENV", "LABEL"), fc.array(fc.tuple(name, quoted), { minLength: 1, maxLength: 4 }))
    .map(([keyword, pairs]) => ({
      keyword,
      pieces: pairs.map(([key, value]) => `${key}=${value}`),
      expected: { legacy: false, pairs: pairs.map(([key, value]) => ({ name: key, value })) },
    })),
  fc.array(fc.tuple(name, fc.option(quoted, { nil: undefined })), { minLength: 1, maxLength: 4 }).map((args) => ({
    keyword: "ARG",
    pieces: args.map(([key, value]) => (value === undefined ? key : `${key}=${value}`)),
    expected: { args: args.map(([key, value]) => ({ name: key, value })) },
  })),
  fc
    .record({
      sources: fc.array(word, { minLength: 1, maxLength: 3 }),
      destination: word,
      chown: fc.option(flagText, { nil: undefined }),
      from: fc.option(fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/), { nil: undefined }),
      link: fc.boolean(),
      excludes: fc.array(flagText, { maxLength: 2 }),
    })
    .map(({ sources, destination, chown, from, link, excludes }) => ({
      keyword: "COPY",
      pieces: [
        ...(chown === undefined ? [] : [`--chown=${chown}`]),
        ...(from === undefined ? [] : [`--from=${from}`]),
        ...(link ? ["--link"] : []),
        ...excludes.map((pattern) => `--exclude=${pattern}`),
        ...sources,
        destination,
      ],
      expected: { sources, destination, chown, from, link, excludes, parents: false, chmod: undefined, heredocs: [] },
    })),
  fc.array(fc.tuple(name, fc.array(word, { maxLength: 3 })), { minLength: 1, maxLength: 2 }).map((documents) => {
    const heredocs = documents.map(([end, lines], index) => ({
      name: `${end}${index}`,
      content: lines.map((line) => `${line}.\n`).join(""),
    }));
    return {
      keyword: "ADD",
      pieces: [...heredocs.map((heredoc) => `<<${heredoc.name}`), "/d/"],
      heredocs,
      expected: { sources: [], destination: "/d/", heredocs: heredocs.map(({ content }) => content) },
    };
  }),
  fc
    .tuple(fc.constantFrom("EXPOSE", "VOLUME"), fc.array(word, { minLength: 1, maxLength: 3 }))
    .map(([keyword, words]) => ({
      keyword,
      pieces: words,
      expected: { [keyword === "EXPOSE" ? "ports" : "paths"]: words },
    })),
  fc
    .tuple(fc.constantFrom(["USER", "user"], ["WORKDIR", "path"], ["STOPSIGNAL", "signal"]), word)
    .map(([[keyword = "", field = ""], value]) => ({
      keyword,
      pieces: [value],
      expected: { [field]: value },
    })),
);

/** White space between pieces: some, or the end of a line with a backslash, comments after it. */
const gap = fc.constantFrom(" ", "  ", "\t", " \\\n", "\\\n  ", " \\  \n# comment \\\n\t", " \\\r\n ");
const style = fc.record({
  indent: fc.constantFrom("", "  ", "\t"),
  lower: fc.boolean(),
  gaps: fc.array(gap, { minLength: 12, maxLength: 12 }),
  before: fc.constantFrom("", "\n", "# comment\n", "\r\n  \n"),
  trailing: fc.constantFrom("", " "),
});

/** A backslash joins lines with nothing in between: where white space must be, there is some. */
function print({ keyword, pieces, heredocs = [] }: Model, { indent, lower, gaps, before, trailing }: Style): string {
  const spaced = (index: number) => gaps[index]?.replace(/^\\\n/, " \\\n") ?? " ";
  const line = pieces.map((piece, index) => `${spaced(index)}${piece}`).join("");
  const documents = heredocs.map(({ name: end, content }) => `${content}${end}\n`).join("");
  return `${before}${indent}${lower ? keyword.toLowerCase() : keyword}${line}${trailing}\n${documents}`;
}

type Style = typeof style extends fc.Arbitrary<infer T> ? T : never;

/** Words as their texts. */
function plain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  if ("at" in value && "text" in value) return value.text;
  if ("content" in value) return value.content;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

function fieldsOf(instruction: Instruction | undefined, { expected }: Model): unknown {
  const all = plain(instruction) as Record<string, unknown>;
  return Object.fromEntries(Object.keys(expected).map((key) => [key, all[key]]));
}

test("instructions are read back as they were meant, whatever the layout", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(model, style), { minLength: 1, maxLength: 6 }), (printed) => {
      const file = `FROM a\n${printed.map(([each, layout]) => print(each, layout)).join("")}`;
      const instructions = parseDockerfile(file).stages[0]?.instructions ?? [];
      assert.equal(instructions.length, printed.length, file);
      for (const [index, [each]] of printed.entries())
        assert.deepEqual(fieldsOf(instructions[index], each), each.expected, file);
    }),
    { numRuns: 1500 },
  );
});

test("every word stands where it says", () => {
  fc.assert(
    fc.property(model, style, (each, layout) => {
      const file = `FROM a\n${print(each, layout)}`;
      const lines = file.split(/\n/);
      const check = (value: unknown): void => {
        if (typeof value !== "object" || value === null) return;
        if ("at" in value && "text" in value) {
          const { line, column } = value.at as { line: number; column: number };
          const there = lines[line - 1]?.slice(column - 1) ?? "";
          assert.ok(there.startsWith(value.text as string), `${JSON.stringify(value)} in ${JSON.stringify(file)}`);
        } else for (const inner of Object.values(value)) check(inner);
      };
      check(parseDockerfile(file).stages[0]?.instructions);
    }),
    { numRuns: 1500 },
  );
});

test("what a line of a Dockerfile gives does not depend on its line ends", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(model, style), { minLength: 1, maxLength: 4 }), (printed) => {
      const withoutHeredocs = printed.filter(([{ heredocs }]) => heredocs === undefined);
      const file = `FROM a\n${withoutHeredocs.map(([each, layout]) => print(each, layout)).join("")}`.replaceAll(
        "\r",
        "",
      );
      const read = (text: string) =>
        plain(parseDockerfile(text).stages[0]?.instructions.map(({ range: _, ...rest }) => rest));
      assert.deepEqual(read(file.replaceAll("\n", "\r\n")), read(file));
    }),
    { numRuns: 500 },
  );
});
