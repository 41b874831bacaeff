/** What the builder keeps: shown, bounded, pruned. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Engine } from "../engine/engine.ts";
import { build } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";

const MB = 1 << 20;
const blob = (name: string, size = 1) => `RUN head -c ${size * MB} /dev/urandom > /${name}`;

const kept = ({ builder }: Engine) =>
  builder
    ?.diskUsage()
    .map(({ Type, Description, Shared, Size = 0 }) => ({ Type, Description, Shared, mb: Math.round(Size / MB) }));

test("steps, cache mounts and what images share are shown, and pruned as Docker does", async (t) => {
  const { engine, dataRoot } = await startEngine(t);
  await build(engine, `FROM busybox\n${blob("kept")}\n`, { tags: ["kept"] });
  await build(
    engine,
    `FROM busybox\n${blob("free")}\nRUN --mount=type=cache,target=/c,id=x head -c ${MB} /dev/zero > /c/f\n`,
    {
      store: false,
    },
  );
  const before = kept(engine);
  assert.deepEqual(before?.map(({ Type, Shared, mb }) => `${Type} ${Shared} ${mb}`).sort(), [
    "exec.cachemount false 1",
    "regular false 0",
    "regular false 2",
    "regular true 2",
  ]);
  const df = await engine.system.diskUsage(["build-cache"]);
  assert.equal(df.BuildCache?.length, 4);
  const filtered = await engine.builder?.prune({ all: true, filters: { type: ["exec.cachemount"] } });
  assert.deepEqual([filtered?.deleted.length, filtered?.reclaimed], [1, MB]);
  assert.deepEqual(readdirSync(join(dataRoot, "builder/mounts")), []);
  const dangling = await engine.builder?.prune({ all: false });
  assert.ok((dangling?.reclaimed ?? 0) >= 2 * MB);
  assert.deepEqual(
    kept(engine)?.map(({ Shared }) => Shared),
    [true],
  );
  await engine.builder?.prune({ all: true });
  assert.deepEqual(kept(engine), []);
  assert.ok(engine.images.get("kept"));
  // Also where there is nothing to be looked at.
  for (const filters of [{ colour: ["red"] }, { until: ["yesterday"] }])
    await assert.rejects(async () => engine.builder?.prune({ all: true, filters }), { kind: "invalid" });
});

test("until takes a time, a date, and how long ago as Go writes it", async (t) => {
  const { engine } = await startEngine(t);
  await build(engine, "FROM busybox\nRUN echo x >/x\n", { store: false });
  const removed = async (until: string) =>
    (await engine.builder?.prune({ all: true, filters: { until: [until] } }))?.deleted.length;
  for (const past of ["24h", "1h30m", String(Date.now() / 1000 - 3600), "2020-01-01", "2020-01-01T00:00:00Z"])
    assert.equal(await removed(past), 0, past);
  assert.equal(await removed("-1h"), 1);
});

test("after each build no more is kept than the bound allows, and the least recently used goes first", async (t) => {
  const { engine } = await startEngine(t, { buildCacheLimit: 9 * MB });
  const run = (name: string) => build(engine, `FROM busybox\n${blob(name, 2)}\n`, { store: false });
  await run("a");
  await run("b");
  assert.equal((await run("a")).ran.length, 0);
  await run("c");
  const descriptions = kept(engine)?.map(({ Description }) => Description?.at(-1));
  assert.deepEqual(descriptions, ["a", "c"]);
  assert.ok((await engine.images.layersSize()) < 20 * MB);
});

test("keeping a number of bytes removes the oldest only; what lies on a removed step goes with it", async (t) => {
  const { engine } = await startEngine(t);
  await build(engine, `FROM busybox\n${blob("a")}\n${blob("b")}\n`, { store: false });
  await build(engine, `FROM busybox\n${blob("c")}\n`, { store: false });
  await engine.builder?.prune({ all: true, keepStorage: 5 * MB });
  assert.deepEqual(
    kept(engine)
      ?.map(({ Description }) => Description?.at(-1))
      .sort(),
    ["a", "c"],
  );
  const [first] = engine.builder?.diskUsage().filter(({ Description }) => Description?.endsWith("/a")) ?? [];
  await build(engine, `FROM busybox\n${blob("a")}\n${blob("b")}\n`, { store: false });
  const { deleted } = (await engine.builder?.prune({ all: true, filters: { id: [first?.ID ?? ""] } })) ?? {
    deleted: [],
  };
  assert.deepEqual(deleted, [first?.ID]);
  assert.deepEqual(
    kept(engine)?.map(({ Description }) => Description?.at(-1)),
    ["c"],
  );
});
