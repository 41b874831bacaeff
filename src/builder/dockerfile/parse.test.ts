import assert from "node:assert/strict";
import { test } from "node:test";
import type { DockerfileError } from "./errors.ts";
import type { Instruction, InstructionName, StageInstruction } from "./language.ts";
import { parseDockerfile, parseTrigger } from "./parse.ts";

/** The first instruction after FROM. */
function first<Name extends InstructionName>(kind: Name, text: string): Extract<Instruction, { kind: Name }> {
  const instruction = parseDockerfile(`FROM a\n${text}`).stages[0]?.instructions[0];
  assert.equal(instruction?.kind, kind);
  return instruction as Extract<Instruction, { kind: Name }>;
}

const texts = (words: readonly { text: string }[]) => words.map(({ text }) => text);
const instructions = (text: string): readonly StageInstruction[] => parseDockerfile(text).stages[0]?.instructions ?? [];

test("a line goes on after the escape character; comments and blank lines within are left out", () => {
  const run = first("RUN", "RUN a \\\n  # no\n\n   b \\  \n\tc");
  assert.deepEqual(run.command, { form: "shell", text: "a    b \tc" });
  assert.deepEqual(run.range, { start: { line: 2, column: 1 }, end: { line: 6, column: 3 } });
});

test("two escape characters at the end of a line are none", () => {
  assert.equal(instructions("FROM a\nRUN a \\\\\nRUN b").length, 2);
});

test("blank lines within a continuation are warned of", () => {
  const { warnings } = parseDockerfile("FROM a\nRUN a \\\n\n  b");
  assert.deepEqual(
    warnings.map(({ rule, message, range }) => [rule, message, range.start.line]),
    [["NoEmptyContinuation", "Empty continuation line", 2]],
  );
});

test("a byte order mark, CRLF, leading spaces and a missing last line end do not matter", () => {
  const text = "\ufeff# c\r\n  FROM a \r\n\tRUN b \\\r\n c";
  const [run] = instructions(text);
  assert.equal(parseDockerfile(text).stages[0]?.from.image.text, "a");
  assert.deepEqual((run as { command: unknown }).command, { form: "shell", text: "b  c" });
});

test("directives count at the top only, each once, whatever the case of their names", () => {
  const { directives } = parseDockerfile("# SynTax = docker/dockerfile:1 \n#escape=`\n# check=skip=all\nFROM a");
  assert.deepEqual(directives, { syntax: "docker/dockerfile:1", escape: "`", check: "skip=all" });
  assert.equal(parseDockerfile("# note\n# escape=`\nFROM a").directives.escape, "\\");
  assert.equal(parseDockerfile("\n# escape=`\nFROM a").directives.escape, "\\");
  assert.equal(parseDockerfile("# unknown=1\n# escape=`\nFROM a").directives.escape, "\\");
});

test("the backquote as escape character joins lines and leaves backslashes alone", () => {
  const [run, copy] = instructions("# escape=`\nFROM a\nRUN a `\n b\nCOPY c:\\ d:\\");
  assert.deepEqual((run as { command: unknown }).command, { form: "shell", text: "a  b" });
  assert.equal((copy as { destination: { text: string } }).destination.text, "d:\\");
});

test("words know their place, also after a continuation", () => {
  const env = first("ENV", "ENV A=1 \\\n    B='x y'");
  assert.deepEqual(env.pairs[1]?.name, { text: "B", at: { line: 3, column: 5 } });
  assert.deepEqual(env.pairs[1]?.value, { text: "'x y'", at: { line: 3, column: 7 } });
});

test("ARG before FROM is global", () => {
  const { globalArgs, stages } = parseDockerfile("ARG A=1 B\nFROM a AS One\nFROM --platform=$P b\nARG A");
  assert.deepEqual(
    globalArgs[0]?.args.map(({ name, value }) => [name.text, value?.text]),
    [
      ["A", "1"],
      ["B", undefined],
    ],
  );
  assert.deepEqual(
    stages.map(({ from }) => [from.stageName, from.as?.name.text, from.platform?.text]),
    [
      ["one", "One", undefined],
      [undefined, undefined, "$P"],
    ],
  );
});

test("comments directly above belong to an instruction", () => {
  const { globalArgs, stages } = parseDockerfile("# lost\n\n# V is it\n# more\nARG V\n# other\n#\nFROM a");
  assert.deepEqual(globalArgs[0]?.comments, ["V is it", "more"]);
  assert.deepEqual(stages[0]?.from.comments, []);
});

test("the old form of ENV takes the rest of the line", () => {
  const env = first("ENV", "ENV ONE TWO= THREE=world");
  assert.equal(env.legacy, true);
  assert.deepEqual([env.pairs[0]?.name.text, env.pairs[0]?.value.text], ["ONE", "TWO= THREE=world"]);
});

test("a JSON array is the exec form, anything else is for the shell", () => {
  assert.deepEqual(first("CMD", 'CMD [ "a", "b c" ]').command, { form: "exec", args: ["a", "b c"] });
  assert.deepEqual(first("CMD", "CMD ['a']").command, { form: "shell", text: "['a']" });
  assert.deepEqual(first("RUN", "RUN [ -f x ] && y").command, { form: "shell", text: "[ -f x ] && y" });
  assert.deepEqual(first("ENTRYPOINT", "ENTRYPOINT []").command, { form: "exec", args: [] });
  assert.deepEqual(first("RUN", 'RUN ["c:\\windows"]').command, { form: "shell", text: '["c:\\windows"]' });
});

test("COPY and ADD with all their flags", () => {
  const copy = first(
    "COPY",
    'COPY --from=b --chown=1:2 --chmod=u=rwX,go=rX --link --parents=true --exclude=*.md --exclude=x ["a b", "c/"]',
  );
  assert.equal(copy.from?.text, "b");
  assert.deepEqual([copy.chown?.text, copy.chmod?.text, copy.link, copy.parents], ["1:2", "u=rwX,go=rX", true, true]);
  assert.deepEqual(texts(copy.excludes), ["*.md", "x"]);
  assert.deepEqual([texts(copy.sources), copy.destination.text], [["a b"], "c/"]);
  const add = first("ADD", "ADD --checksum=sha256:ab --keep-git-dir=false --unpack https://x/y.tgz /");
  assert.deepEqual([add.checksum?.text, add.keepGitDir, add.unpack, add.link], ["sha256:ab", false, true, false]);
});

test("heredocs of RUN, several and with tabs", () => {
  const run = first("RUN", "RUN cat <<A > a && 3<<-'B C' cat\n\tone\nA\n\ttwo\n\tB C\nUSER x");
  assert.deepEqual(
    run.heredocs.map(({ name, content, chomp, expand, descriptor }) => ({ name, content, chomp, expand, descriptor })),
    [
      { name: "A", content: "\tone\n", chomp: false, expand: true, descriptor: 0 },
      { name: "B C", content: "\ttwo\n", chomp: true, expand: false, descriptor: 3 },
    ],
  );
  assert.equal(run.range.end.line, 6);
});

test("heredocs of COPY stand among the sources", () => {
  const copy = first("COPY", "COPY a <<X b <<Y /d/\n1\nX\n2\nY\n");
  assert.deepEqual(texts(copy.sources), ["a", "b"]);
  assert.deepEqual(
    copy.heredocs.map(({ name, content }) => [name, content]),
    [
      ["X", "1\n"],
      ["Y", "2\n"],
    ],
  );
});

test("what looks like a heredoc is none in the exec form, with unbalanced quotes or in other instructions", () => {
  assert.equal(instructions('FROM a\nRUN ["<<X"]\nRUN it\'s <<X\nCMD cat <<X\nRUN a <<< b\nRUN x<<X').length, 5);
});

test("a heredoc within a trigger is part of it", () => {
  assert.equal(first("ONBUILD", "ONBUILD RUN <<E sh\na\nb\nE\n").trigger, "RUN <<E sh\na\nb\nE");
});

test("mounts keep their options in order", () => {
  const run = first("RUN", "RUN --mount=type=cache,Target=/c,ro --mount=from=b,target=. --network=host x");
  assert.deepEqual(run.mounts[0]?.options, [
    { name: "type", value: "cache" },
    { name: "target", value: "/c" },
    { name: "ro" },
  ]);
  assert.deepEqual(texts(run.flags), ["--mount=type=cache,Target=/c,ro", "--mount=from=b,target=.", "--network=host"]);
});

test("flags end at the first word that is none, or at a lone --", () => {
  assert.deepEqual(first("RUN", "RUN --network=none x --y").command, { form: "shell", text: "x --y" });
  assert.deepEqual(first("RUN", "RUN -- --y").command, { form: "shell", text: "--y" });
});

test("HEALTHCHECK", () => {
  const { health } = first(
    "HEALTHCHECK",
    "HEALTHCHECK --interval=5m --timeout=3s --retries=2 --start-period=0s CMD curl -f /",
  );
  assert.deepEqual(health, { Test: ["CMD-SHELL", "curl -f /"], Interval: 3e11, Timeout: 3e9, Retries: 2 });
  assert.deepEqual(first("HEALTHCHECK", 'healthcheck cmd ["a"]').health, { Test: ["CMD", "a"] });
  assert.deepEqual(first("HEALTHCHECK", "HEALTHCHECK none").health, { Test: ["NONE"] });
});

test("the other instructions", () => {
  assert.deepEqual(texts(first("VOLUME", 'VOLUME ["/a b", "/c"]').paths), ["/a b", "/c"]);
  assert.deepEqual(texts(first("VOLUME", "VOLUME /a /c").paths), ["/a", "/c"]);
  assert.deepEqual(texts(first("EXPOSE", "EXPOSE 80 443/udp").ports), ["80", "443/udp"]);
  assert.deepEqual(first("SHELL", 'SHELL ["/bin/bash", "-c"]').shell, ["/bin/bash", "-c"]);
  assert.equal(first("USER", "user a:b").user.text, "a:b");
  assert.equal(first("WORKDIR", "WORKDIR /a b").path.text, "/a b");
  assert.equal(first("STOPSIGNAL", "STOPSIGNAL SIGINT").signal.text, "SIGINT");
  assert.equal(first("MAINTAINER", "MAINTAINER Jo <jo@x>").name.text, "Jo <jo@x>");
  assert.equal(first("LABEL", 'LABEL "a b"="c d"').pairs[0]?.name.text, '"a b"');
});

test("a trigger is one instruction", () => {
  assert.equal(parseTrigger("COPY . /app", "Dockerfile").kind, "COPY");
  assert.throws(() => parseTrigger("RUN a\nRUN b", "Dockerfile"), {
    message: "onbuild trigger should be a single expression",
  });
});

test("what was read cannot be changed", () => {
  const dockerfile = parseDockerfile("FROM a\nENV A=b");
  assert.ok(Object.isFrozen(dockerfile.stages[0]?.instructions[0]));
});

test("an error prints the lines around it", () => {
  assert.throws(
    () => parseDockerfile("FROM a\nUSER b\nRUN x\nADDD . .\nUSER c\nUSER d\nUSER e\n", "prod.Dockerfile"),
    (error: DockerfileError) => {
      assert.equal(error.kind, "invalid");
      assert.equal(error.message, "dockerfile parse error on line 4: unknown instruction: ADDD (did you mean ADD?)");
      const lines = [
        "   2 |     USER b",
        "   3 |     RUN x",
        "   4 | >>> ADDD . .",
        "   5 |     USER c",
        "   6 |     USER d",
      ];
      const rule = "-".repeat(20);
      assert.equal(error.excerpt, ["prod.Dockerfile:4", rule, ...lines, rule].join("\n"));
      return true;
    },
  );
});
