import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { EventMessage } from "../api/types/system.ts";
import { errorKind } from "../base/errors.ts";
import { Journal } from "./journal.ts";
import { matches } from "./match.ts";
import { openEvents } from "./open.ts";

function journalPath(t: { after(work: () => void): void }): string {
  const at = mkdtempSync(join(tmpdir(), "gantry-events-"));
  t.after(() => rmSync(at, { recursive: true, force: true }));
  return join(at, "events.log");
}

const soon = () => BigInt(Date.now() + 50) * 1_000_000n;

async function actions(events: AsyncIterable<EventMessage>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) seen.push(event.Action);
  return seen;
}

const started = (id: string, attributes = {}) => ({ type: "container", action: "start", id, attributes }) as const;

test("events from before a restart are replayed and the live ones follow without a gap", async (t) => {
  const path = journalPath(t);
  const before = openEvents(path);
  before.publish(started("a"));
  before.close();
  appendFileSync(path, '{"Type":"container","torn');
  const bus = openEvents(path);
  t.after(() => bus.close());
  const events = bus.subscribe({ since: 0n, until: soon(), filters: {} });
  bus.publish({ type: "container", action: "die", id: "a" });
  assert.deepEqual(await actions(events), ["start", "die"]);
  assert.equal(bus.listeners, 0);
});

test("a listener that never reads is cut off and harms nobody", async (t) => {
  const bus = openEvents(journalPath(t));
  t.after(() => bus.close());
  const lazy = bus.subscribe({ filters: {} });
  for (let i = 0; i < 3000; i++) bus.publish(started(`c${i}`));
  assert.equal((await actions(lazy)).length, 1024);
});

test("an abort ends the stream", async (t) => {
  const bus = openEvents(journalPath(t));
  t.after(() => bus.close());
  const abort = new AbortController();
  const events = actions(bus.subscribe({ filters: {}, signal: abort.signal }));
  bus.publish(started("a"));
  setImmediate(() => abort.abort());
  assert.deepEqual(await events, ["start"]);
});

test("times never repeat", async (t) => {
  const bus = openEvents(journalPath(t));
  t.after(() => bus.close());
  for (let i = 0; i < 500; i++) bus.publish(started("a"));
  const times: number[] = [];
  for await (const event of bus.subscribe({ since: 0n, until: soon(), filters: {} })) times.push(event.timeNano);
  assert.equal(new Set(times).size, 500);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test("the journal keeps two bounded files", (t) => {
  const path = journalPath(t);
  const journal = new Journal(path, 2000);
  const event = {
    Type: "container",
    Action: "x",
    Actor: { ID: "1", Attributes: {} },
    scope: "local",
    time: 1,
    timeNano: 1e9,
  };
  for (let i = 0; i < 200; i++) journal.append(event);
  const names = readdirSync(join(path, ".."));
  assert.equal(names.length, 2);
  assert.ok(names.every((name) => statSync(join(path, "..", name)).size < 2300));
  assert.ok(journal.read(0n).length > 10);
  assert.equal(journal.read(2_000_000_000n).length, 0);
  journal.close();
});

test("an unknown filter is refused", (t) => {
  const bus = openEvents(journalPath(t));
  t.after(() => bus.close());
  assert.throws(
    () => bus.subscribe({ filters: { colour: ["red"] } }),
    (error) => errorKind(error) === "invalid",
  );
});

test("filters of one name are alternatives and of different names conditions", () => {
  const event: EventMessage = {
    Type: "container",
    Action: "exec_start: ls",
    Actor: { ID: "abcdef", Attributes: { name: "web", image: "host:5000/app:1", tier: "front" } },
    scope: "local",
    time: 1,
    timeNano: 1,
  };
  const holds = (filters: Record<string, string[]>) => matches(event, filters);
  assert.ok(holds({ type: ["image", "container"], event: ["exec_start"] }));
  assert.ok(holds({ container: ["abc"] }) && holds({ container: ["web"] }) && !holds({ container: ["bcd"] }));
  assert.ok(
    holds({ image: ["host:5000/app"] }) && holds({ image: ["host:5000/app:1"] }) && !holds({ image: ["host"] }),
  );
  assert.ok(holds({ label: ["tier"] }) && holds({ label: ["tier=front"] }) && !holds({ label: ["tier=back"] }));
  assert.ok(!holds({ type: ["container"], label: ["other"] }));
  assert.ok(!holds({ volume: ["abc"] }) && holds({ scope: ["local"] }) && !holds({ event: ["exec"] }));
});
