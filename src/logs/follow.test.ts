import assert from "node:assert/strict";
import { appendFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { LogReadOptions, LogSink } from "./logs.ts";
import { EVERYTHING, entry, numbered, readAll, temporarySink } from "./logs-fixture.ts";
import { openLogs } from "./open.ts";

/** Follows in the background; `until` resolves when the text so far ends with something. */
function follow(sink: LogSink, options: Partial<LogReadOptions> = {}) {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  let text = "";
  let look = () => {};
  const all = (async () => {
    for await (const chunk of openLogs().read(sink, { ...EVERYTHING, follow: { ended }, ...options })) {
      text += Buffer.from(chunk).toString();
      look();
    }
    return text;
  })();
  const until = (tail: string) =>
    new Promise<void>((resolve) => {
      look = () => {
        if (text.endsWith(tail)) resolve();
      };
      look();
    });
  return { all, end, until };
}

test("A follower gets what is there, then what comes, and ends when the writer does", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(sink.path, entry("one\n"));
  const { all, end, until } = follow(sink);
  await until("one\n");
  appendFileSync(sink.path, entry("two\n"));
  await until("two\n");
  appendFileSync(sink.path, entry("three\n"));
  end();
  assert.equal(await all, "one\ntwo\nthree\n");
});

test("A follower waits for a log that does not exist yet, and for the rest of a line", async (t) => {
  const sink = temporarySink(t);
  const { all, end, until } = follow(sink);
  await turn();
  const line = entry("whole\n");
  writeFileSync(sink.path, line.slice(0, 20));
  await sleep(20);
  appendFileSync(sink.path, line.slice(20));
  await until("whole\n");
  end();
  assert.equal(await all, "whole\n");
});

test("A follower loses and doubles nothing while the log is rotated under it", async (t) => {
  const sink = temporarySink(t);
  const { all, end } = follow(sink);
  const lines = numbered(0, 3000);
  for (const [index, line] of lines.entries()) {
    if (index % 100 === 99) {
      for (let old = 29; old >= 1; old--) {
        try {
          renameSync(`${sink.path}.${old}`, `${sink.path}.${old + 1}`);
        } catch {}
      }
      renameSync(sink.path, `${sink.path}.1`);
    }
    appendFileSync(sink.path, entry(line));
    if (index % 50 === 0) await turn();
  }
  end();
  assert.equal(await all, lines.join(""));
});

test("A follower goes on through files that were compressed before it came to them", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(sink.path, entry("one\n"));
  const { all, end, until } = follow(sink);
  await until("one\n");
  const { atime, mtime } = statSync(sink.path);
  appendFileSync(sink.path, entry("two\n"));
  writeFileSync(`${sink.path}.2.gz`, gzipSync(entry("one\n") + entry("two\n")));
  utimesSync(sink.path, atime, mtime);
  utimesSync(`${sink.path}.2.gz`, atime, mtime);
  writeFileSync(`${sink.path}.1.gz`, gzipSync(entry("three\n")));
  rmSync(sink.path);
  writeFileSync(sink.path, entry("four\n"));
  await until("four\n");
  end();
  assert.equal(await all, "one\ntwo\nthree\nfour\n");
});

test("A follower that wants a tail of nothing starts with what comes", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(sink.path, entry("old\n"));
  const { all, end, until } = follow(sink, { tail: 0 });
  await sleep(20);
  appendFileSync(sink.path, entry("new\n"));
  await until("new\n");
  end();
  assert.equal(await all, "new\n");
});

test("A log that is emptied by hand is followed from its new start", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(
    sink.path,
    numbered(0, 50)
      .map((line) => entry(line))
      .join(""),
  );
  const { all, end, until } = follow(sink);
  await until("line 49\n");
  writeFileSync(sink.path, "");
  await sleep(20);
  appendFileSync(sink.path, entry("again\n"));
  await until("again\n");
  end();
  assert.ok((await all).endsWith("line 49\nagain\n"));
});

test("Following ends quietly when the reader gives up", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(sink.path, entry("one\n"));
  const abort = new AbortController();
  const { all, until } = follow(sink, { signal: abort.signal });
  await until("one\n");
  abort.abort();
  assert.equal(await all, "one\n");
  assert.equal(await readAll(sink, { signal: AbortSignal.abort(), follow: { ended: new Promise(() => {}) } }), "");
});

test("Following ends when until has passed, though nothing is written", async (t) => {
  const sink = temporarySink(t);
  writeFileSync(sink.path, entry("one\n"));
  const until = BigInt(Date.now() + 50) * 1_000_000n;
  assert.equal(await readAll(sink, { until, follow: { ended: new Promise(() => {}) } }), "one\n");
});
