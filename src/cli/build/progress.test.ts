import assert from "node:assert/strict";
import { test } from "node:test";
import type { WireBuildEvent, WireVertex } from "../../api/types/build.ts";
import type { Output } from "../output.ts";
import { PlainDisplay } from "./progress-plain.ts";
import { RawDisplay } from "./progress-raw.ts";
import { LineCutter, printable } from "./progress-text.ts";
import { fit, TtyDisplay } from "./progress-tty.ts";

class Written implements Output {
  readonly fd = -1;
  text = "";
  write(data: string | Uint8Array): void {
    this.text += String(data);
  }
}

const vertex = (name: string, more: Partial<WireVertex> = {}): WireBuildEvent => ({
  type: "vertex",
  vertex: { digest: `sha256:${name}`, inputs: [], name, ...more },
});
const log = (name: string, text: string | Buffer, stream: 1 | 2 = 1, time = 1250): WireBuildEvent => ({
  type: "log",
  vertex: `sha256:${name}`,
  stream,
  data: Buffer.from(text as string).toString("base64"),
  time,
});
const began = { startedAt: 1000 };
const done = { startedAt: 1000, completedAt: 1500 };

const EVENTS: readonly WireBuildEvent[] = [
  vertex("a"),
  vertex("b"),
  vertex("a", began),
  log("a", "one\ntw"),
  vertex("b", began),
  log("b", "other\n", 2),
  log("a", "o\n"),
  log("a", Buffer.from([0xc3])),
  log("a", Buffer.from([0xa4, 0x0a])),
  log("a", "10%\r50%\r100%\n"),
  log("a", "no end"),
  vertex("a", done),
  vertex("b", { ...done, cached: true }),
  vertex("c", { ...done, error: "it broke" }),
];

test("plain: each line has its step, titles come where steps change, nothing is cut or lost", () => {
  const out = new Written();
  const display = new PlainDisplay(out);
  for (const event of EVENTS) display.event(event);
  display.finish();
  assert.equal(
    out.text,
    `#1 a
#1 0.250 one

#2 b
#2 0.250 other

#1 a
#1 0.250 two
#1 0.250 ä
#1 0.250 100%
#1 0.500 no end
#1 DONE 0.5s

#2 b
#2 CACHED

#3 c
#3 ERROR: it broke
`,
  );
});

test("rawjson: a document a line, as Buildx prints them", () => {
  const out = new Written();
  const display = new RawDisplay(out);
  for (const event of EVENTS) display.event(event);
  display.event({ type: "transfer", vertex: "sha256:a", id: "x", current: 5, total: 10, completed: false });
  const documents = out.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>[]>);
  assert.equal(documents.length, EVENTS.length + 1);
  assert.deepEqual(documents[3]?.logs?.[0], {
    vertex: "sha256:a",
    stream: 1,
    data: "b25lCnR3",
    timestamp: "1970-01-01T00:00:01.250Z",
  });
  assert.deepEqual(documents[12]?.vertexes?.[0], {
    digest: "sha256:b",
    name: "b",
    started: "1970-01-01T00:00:01.000Z",
    completed: "1970-01-01T00:00:01.500Z",
    cached: true,
  });
  const { timestamp: _, ...status } = documents.at(-1)?.statuses?.[0] ?? {};
  assert.deepEqual(status, { id: "x", vertex: "sha256:a", current: 5, total: 10 });
});

/** What a terminal shows after these bytes. */
function screen(text: string, columns: number): string[] {
  const rows: string[] = [""];
  let row = 0;
  const parts = text.match(/\x1b\[\??[0-9]*[A-Za-z]|\n|\r|[^\x1b\n\r]+/g) ?? [];
  for (const part of parts) {
    const move = /^\x1b\[(\d*)A$/.exec(part);
    if (move !== null) row = Math.max(0, row - Number(move[1]));
    else if (part === "\x1b[J") rows.length = row + 1;
    else if (part === "\n") rows[++row] ??= "";
    else if (!part.startsWith("\x1b") && part !== "\r") {
      assert.ok([...part].length < columns, `a line of ${[...part].length} in ${columns} columns`);
      rows[row] = part;
    }
  }
  return rows;
}

for (const columns of [80, 40, 20, 8])
  test(`tty: drawn over itself in ${columns} columns, no line wraps, the end has every step`, () => {
    const out = new Written();
    const display = new TtyDisplay(out, () => ({ rows: 10, columns }));
    for (const event of EVENTS) display.event(event);
    for (let i = 0; i < 30; i++) display.event(vertex(`a step with a long name, number ${i} of many`, done));
    display.event(vertex("a"));
    display.finish();
    const lines = screen(out.text, columns).filter((line) => /\d\.\ds$/.test(line));
    assert.equal(lines.length, 33);
    assert.ok(out.text.endsWith("\x1b[?25h"));
  });

test("lines are as wide as asked, wide characters and marks counted", () => {
  assert.equal(fit("abc", "1s", 10), "abc    1s");
  assert.equal(fit("abcdefghij", "1s", 10), "abc... 1s");
  assert.equal(fit("漢字漢字漢字", "", 10), "漢字漢...");
  assert.equal(fit("e\u0301e\u0301", "", 5), "e\u0301e\u0301");
});

test("what moves a cursor does not reach the screen", () => {
  assert.equal(printable("\x1b[31mred\x1b[0m\x1b]0;title\x07 a\tb\x08\x1b[2J"), "red a    b");
  const cutter = new LineCutter();
  assert.deepEqual(cutter.take("a\r\nb\rc\nd"), ["a", "c"]);
  assert.deepEqual(cutter.end(), ["d"]);
});
