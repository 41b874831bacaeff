import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { errorKind } from "../base/errors.ts";
import { openStore } from "./open.ts";
import { makePaths } from "./paths.ts";
import type { Migration } from "./store.ts";

const first: Migration = { id: "things/1", sql: "CREATE TABLE things (name TEXT PRIMARY KEY) STRICT" };
const second: Migration = { id: "things/2", sql: "ALTER TABLE things ADD COLUMN size INTEGER" };

function roots(t: { after(work: () => void): void }) {
  const at = mkdtempSync(join(tmpdir(), "gantry-store-"));
  t.after(() => rmSync(at, { recursive: true, force: true }));
  return makePaths(join(at, "data"), join(at, "exec"));
}

test("migrations are applied once and in order", (t) => {
  const paths = roots(t);
  openStore(paths, [first]).close();
  const store = openStore(paths, [first, second]);
  store.run("INSERT INTO things VALUES (?, ?)", "a", 1);
  store.close();
  store.close();
  const again = openStore(paths, [first, second]);
  assert.deepEqual(again.get("SELECT name, size FROM things")?.size, 1);
  again.close();
});

test("a migration that fails changes nothing", (t) => {
  const paths = roots(t);
  const broken: Migration = { id: "things/2", sql: "CREATE TABLE half (a); SELECT nonsense" };
  assert.throws(() => openStore(paths, [first, broken]));
  const store = openStore(paths, [first, second]);
  assert.equal(store.get("SELECT 1 FROM sqlite_master WHERE name = 'half'"), undefined);
  store.close();
});

test("a database of a newer version is refused", (t) => {
  const paths = roots(t);
  openStore(paths, [first, second]).close();
  assert.throws(
    () => openStore(paths, [first]),
    (error) => errorKind(error) === "conflict",
  );
});

test("transactions nest and roll back to where they began", (t) => {
  const store = openStore(roots(t), [first]);
  t.after(() => store.close());
  const insert = (name: string) => store.run("INSERT INTO things VALUES (?)", name);
  store.durable(() => {
    insert("kept");
    assert.throws(() =>
      store.transaction(() => {
        insert("lost");
        insert("kept");
      }),
    );
    store.durable(() => insert("also kept"));
  });
  assert.throws(
    () =>
      store.transaction(() => {
        insert("gone");
        throw new Error("no");
      }),
    /no/,
  );
  assert.deepEqual(
    store.all<{ name: string }>("SELECT name FROM things ORDER BY 1").map((row) => row.name),
    ["also kept", "kept"],
  );
});

test("opening empties the temporary folder and keeps the rest", (t) => {
  const paths = roots(t);
  openStore(paths, []).close();
  writeFileSync(join(paths.tmp, "x"), "");
  writeFileSync(join(paths.volumes, "y"), "");
  openStore(paths, []).close();
  assert.ok(!existsSync(join(paths.tmp, "x")));
  assert.ok(existsSync(join(paths.volumes, "y")));
});
