import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import type { LogSubject } from "./logs.ts";
import { readAll, temporarySink } from "./logs-fixture.ts";
import { openLogs } from "./open.ts";

const SUBJECT: LogSubject = {
  id: "0123456789abcdef".repeat(4),
  name: "web",
  imageId: `sha256:${"fedcba9876543210".repeat(4)}`,
  imageName: "example.com/web:1",
  command: ["serve", "-p", "80"],
  labels: { tier: "front", team: "a b", other: "no" },
  env: ["REGION=eu", "EMPTY=", "PASSWORD=x"],
  createdAt: "2026-01-01T00:00:00Z",
};

function attributes(Config: Record<string, string>, subject = SUBJECT) {
  return openLogs().sinkOfRun({ Type: "json-file", Config }, "/data", subject).attributes;
}

test("Labels and variables are chosen by name and by pattern", () => {
  assert.equal(attributes({}), undefined);
  assert.deepEqual(attributes({ labels: "tier,missing", env: "REGION,EMPTY" }), {
    EMPTY: "",
    REGION: "eu",
    tier: "front",
  });
  assert.deepEqual(attributes({ "labels-regex": "^te", "env-regex": "^REG" }), { REGION: "eu", team: "a b" });
});

test("A tag is a template over the container, and is there only when it was asked for", () => {
  assert.deepEqual(attributes({ tag: "{{.ImageName}}/{{.Name}}/{{.ID}}" }), {
    tag: "example.com/web:1/web/0123456789ab",
  });
  assert.deepEqual(attributes({ tag: '{{.FullID | printf "%.4s"}}-{{index .ContainerLabels "tier" | upper}}' }), {
    tag: "0123-FRONT",
  });
  assert.equal(attributes({ tag: "" }), undefined);
});

test("Patterns, templates and sizes that do not work are refused", () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ "labels-regex": "(" }, /^invalid log opt labels-regex: /],
    [{ tag: "{{.Nope}}" }, /^invalid log opt tag: .*Nope/],
    [{ tag: "{{" }, /^invalid log opt tag: .*unclosed action/],
    [{ tag: '{{printf "%20000d" 1}}' }, /makes more than 16384 characters/],
    [{ env: "BIG" }, /labels and variables that the log is to carry take \d+ bytes/],
  ];
  const subject = { ...SUBJECT, env: [`BIG=${"x".repeat(20_000)}`] };
  for (const [config, message] of refused)
    assert.throws(() => attributes(config, subject), { kind: "invalid", message }, JSON.stringify(config));
});

const line = (log: string, attrs: unknown) =>
  `{"log":${JSON.stringify(log)},"stream":"stdout","attrs":${JSON.stringify(attrs)},"time":"2026-01-02T03:04:05Z"}\n`;

test("Details show the attributes as Docker does, behind the time and before the line", async (t) => {
  const sink = temporarySink(t);
  const attrs = { "a key": "ä&b=c", tag: "x/y", z: '"' };
  writeFileSync(
    sink.path,
    `${line("one\n", attrs)}${line("two\n", {})}{"log":"three\\n","stream":"stderr","time":""}\n`,
  );
  assert.equal(await readAll(sink, { details: true }), "a+key=%C3%A4%26b%3Dc,tag=x%2Fy,z=%22 one\n two\n three\n");
  assert.equal(await readAll(sink), "one\ntwo\nthree\n");
  assert.match(
    await readAll(sink, { details: true, timestamps: true, stderr: false }),
    /^2026-01-02T03:04:05\.000000000Z a\+key=\S+ one\n2026-01-02T03:04:05\.000000000Z {2}two\n$/,
  );
});

test("Whatever the attributes are, lines and details come whole", async (t) => {
  const sink = temporarySink(t);
  const texts = fc.array(
    fc.record({
      log: fc.string({ unit: "grapheme", maxLength: 200 }),
      attrs: fc.dictionary(
        fc.string({ unit: "binary", maxLength: 20 }),
        fc.string({ unit: "grapheme", maxLength: 300 }),
      ),
    }),
    { minLength: 1, maxLength: 20 },
  );
  const query = (value: string) =>
    encodeURIComponent(value.toWellFormed())
      .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
      .replaceAll("%20", "+");
  await fc.assert(
    fc.asyncProperty(texts, async (entries) => {
      const whole = entries.map(({ log, attrs }) => ({ log: `${log.replaceAll("\n", " ")}\n`, attrs }));
      writeFileSync(sink.path, whole.map(({ log, attrs }) => line(log, attrs)).join(""));
      assert.equal(await readAll(sink), whole.map(({ log }) => log.toWellFormed()).join(""));
      const details = whole.map(({ log, attrs }) => {
        const pairs = Object.entries(attrs).map(([name, value]) => `${query(name)}=${query(value)}`);
        return `${pairs.join(",")} ${log.toWellFormed()}`;
      });
      assert.equal(await readAll(sink, { details: true }), details.join(""));
    }),
    { numRuns: 60 },
  );
});
