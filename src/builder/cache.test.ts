/** What is found again and what is not: by content, never by time. */
import assert from "node:assert/strict";
import { appendFileSync, chmodSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build, makeContext } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";

test("a touch is found, a byte, a mode and a name are not, and other folders do not matter", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { "src/a": "a", "src/b": "b", "other/c": "c" });
  const dockerfile = "FROM busybox\nCOPY src /src\nRUN ls -l /src\n";
  const again = () => build(engine, dockerfile, { context: { root, cacheName: "test" } });
  assert.equal((await again()).ran.length, 2);
  assert.deepEqual((await again()).ran, []);
  utimesSync(join(root, "src/a"), 1, 1);
  writeFileSync(join(root, "other/c"), "changed");
  assert.deepEqual((await again()).ran, []);
  for (const change of [
    () => appendFileSync(join(root, "src/a"), "x"),
    () => chmodSync(join(root, "src/b"), 0o600),
    () => renameSync(join(root, "src/b"), join(root, "src/d")),
  ]) {
    change();
    assert.equal((await again()).ran.length, 2);
    assert.deepEqual((await again()).ran, []);
  }
});

test("a step is known by its command, environment, user and place; what comes after a change runs again", async (t) => {
  const { engine } = await startEngine(t);
  const runs = async (text: string, wish = {}) => (await build(engine, `FROM busybox\n${text}`, wish)).ran.length;
  assert.equal(await runs("RUN echo 1 > /1\nRUN echo 2 > /2\n"), 2);
  assert.equal(await runs("RUN echo 1 > /1\nRUN echo 3 > /2\n"), 1);
  assert.equal(await runs("ENV A=1\nRUN echo 1 > /1\n"), 2);
  assert.equal(await runs("ENV A=1\nRUN echo 1 > /1\n"), 0);
  assert.equal(await runs("ARG B\nRUN echo 1 > /1\n", { buildArgs: { B: "x" } }), 2);
  assert.equal(await runs("ARG B\nRUN echo 1 > /1\n", { buildArgs: { B: "y" } }), 1);
  assert.equal(await runs("WORKDIR /tmp\nRUN echo 1 > /1\n"), 2);
  assert.equal(await runs("RUN echo 1 > /1\nRUN echo 2 > /2\n", { noCache: true }), 2);
});

test("only the stages that are named run again, and equal results below them are still found", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = `FROM busybox AS made
RUN mkdir /out && date +%N > /time && echo same > /out/file
FROM busybox AS final
COPY --from=made /out /out
RUN cat /out/file
`;
  await build(engine, dockerfile);
  const filtered = await build(engine, dockerfile, { noCache: ["made"] });
  assert.deepEqual(filtered.ran, ["RUN mkdir /out && date +%N > /time && echo same > /out/file"]);
});

test("stages that the target does not need do not run", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = "FROM busybox AS a\nRUN false\nFROM busybox AS b\nRUN echo b\nFROM b AS c\nRUN false\n";
  assert.deepEqual((await build(engine, dockerfile, { target: "b" })).ran, ["RUN echo b"]);
});

test("equal steps of builds at the same time run once, and each build hears them", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = "FROM busybox\nRUN sleep 0.5; cat /proc/sys/kernel/random/uuid | tee /id\n";
  const runs = await Promise.all([1, 2, 3].map(() => build(engine, dockerfile)));
  assert.equal(new Set(runs.map(({ output }) => output)).size, 1);
  assert.match(runs[0]?.output ?? "", /^[0-9a-f-]{36}\n$/);
  assert.equal(new Set(runs.map(({ images }) => images[0]?.layers.at(-1)?.digest)).size, 1);
});

test("one build's end is not another's that waits for the same step", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = "FROM busybox\nRUN sleep 1; echo done\n";
  const stop = new AbortController();
  const [ended, other] = [build(engine, dockerfile, { signal: stop.signal }), build(engine, dockerfile)];
  setTimeout(() => stop.abort(), 300);
  await assert.rejects(ended, { kind: "cancelled" });
  assert.match((await other).output, /done/);
});

test("what is kept survives the engine's restart", async (t) => {
  const harness = await startEngine(t);
  const dockerfile = "FROM busybox\nRUN echo 1 > /1\nENV A=b\n";
  const first = await build(harness.engine, dockerfile);
  await harness.restart();
  const second = await build(harness.engine, dockerfile);
  assert.deepEqual(second.ran, []);
  assert.equal(second.images[0]?.id, first.images[0]?.id);
});

test("a removed image leaves its steps in the cache, and they give the same image again", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = "FROM busybox\nRUN echo 1 > /1\n";
  const first = await build(engine, dockerfile, { tags: ["gone"] });
  await engine.images.remove("gone", { force: true, prune: true });
  await engine.images.collect();
  const second = await build(engine, dockerfile, { tags: ["gone"] });
  assert.deepEqual(second.ran, []);
  assert.equal(second.images[0]?.id, first.images[0]?.id);
});

test("the same inputs give the same digest when the time is given", async (t) => {
  const digests = [];
  for (let run = 0; run < 2; run++) {
    const { engine } = await startEngine(t);
    const root = makeContext(t, { a: "a" });
    const dockerfile = "FROM busybox\nWORKDIR /w\nRUN mkdir d && echo x > d/f\nCOPY a .\n";
    const { images } = await build(engine, dockerfile, { context: { root }, sourceDateEpoch: 1_700_000_000 });
    digests.push(images[0]?.manifest.digest);
    assert.equal(images[0]?.config.created, "2023-11-14T22:13:20Z");
  }
  assert.equal(digests[0], digests[1]);
});
