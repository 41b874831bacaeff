/** Caches that travel: through a registry, inside an image, in a folder. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { build, makeContext } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";
import { startRegistry } from "../testing/registry.ts";

const DOCKERFILE = `FROM busybox AS made
COPY a /a
RUN cat /proc/sys/kernel/random/uuid > /made
FROM busybox
ENV A=b
COPY --from=made /made /made
RUN cat /made
`;

for (const type of ["registry", "local"] as const)
  test(`another engine finds what one has sent to a ${type === "local" ? "folder" : "registry"}, with all stages or the last one`, async (t) => {
    await using registry = await startRegistry();
    const folder = makeContext(t, {});
    const context = { root: makeContext(t, { a: "a" }) };
    const from = (name: string) =>
      [
        {
          type,
          attributes: type === "local" ? { src: join(folder, name) } : { ref: `${registry.host}/${name}:cache` },
        },
      ] as const;
    const to = (name: string, mode: string) =>
      [
        {
          type,
          attributes: {
            mode,
            ...(type === "local" ? { dest: join(folder, name) } : { ref: `${registry.host}/${name}:cache` }),
          },
        },
      ] as const;
    const { engine: first } = await startEngine(t);
    const made = await build(first, DOCKERFILE, { context, cacheTo: [...to("all", "max"), ...to("last", "min")] });
    const { engine: second } = await startEngine(t);
    const found = await build(second, DOCKERFILE, { context, cacheFrom: from("all"), tags: ["found"] });
    assert.deepEqual(found.ran, []);
    const { config } = second.images.get("found");
    assert.deepEqual(config.rootfs, made.images[0]?.config.rootfs);
    assert.deepEqual(config.history, made.images[0]?.config.history);
    assert.deepEqual((await build(second, DOCKERFILE, { context })).ran, []);
    const { engine: third } = await startEngine(t);
    const partly = await build(third, DOCKERFILE, { context, cacheFrom: from("last") });
    assert.deepEqual(partly.ran.toSorted(), [
      "COPY --from=made /made /made",
      "COPY a /a",
      "RUN cat /made",
      "RUN cat /proc/sys/kernel/random/uuid > /made",
    ]);
  });

test("an image brings its own steps along", async (t) => {
  await using registry = await startRegistry();
  const dockerfile = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\nENV A=b\nRUN cat /id\n";
  const name = `${registry.host}/app:1`;
  const { engine: first } = await startEngine(t);
  await build(first, dockerfile, { tags: [name], cacheTo: [{ type: "inline", attributes: {} }] });
  await first.images.push(name, { onProgress: () => {} });
  const { engine: second } = await startEngine(t);
  const cacheFrom = [{ type: "registry", attributes: { ref: name } }] as const;
  assert.deepEqual((await build(second, dockerfile, { cacheFrom })).ran, []);
  const { engine: third } = await startEngine(t);
  await third.images.pull(name, { onProgress: () => {} });
  assert.deepEqual((await build(third, dockerfile, { cacheFrom })).ran, []);
});

test("a cache that is not there, or damaged, is told of, and the build goes on", async (t) => {
  await using registry = await startRegistry();
  const { engine } = await startEngine(t);
  const folder = makeContext(t, {});
  const dockerfile = "FROM busybox\nRUN echo 1 > /1\n";
  const attributes = { dest: folder };
  await build(engine, dockerfile, { cacheTo: [{ type: "local", attributes }] });
  const { engine: other } = await startEngine(t);
  const cacheFrom = [
    { type: "registry", attributes: { ref: `${registry.host}/none` } },
    { type: "local", attributes: { src: join(folder, "none") } },
    { type: "local", attributes: { src: folder } },
  ] as const;
  for (const name of readdirSync(join(folder, "blobs/sha256"))) {
    const path = join(folder, "blobs/sha256", name);
    if (!readFileSync(path, "latin1").startsWith("{")) writeFileSync(path, "damaged");
  }
  const run = await build(other, dockerfile, { cacheFrom });
  assert.deepEqual(run.ran, ["RUN echo 1 > /1"]);
  assert.equal(run.output.match(/importing/g)?.length, 3);
  await assert.rejects(build(other, dockerfile, { cacheTo: [{ type: "local", attributes: { dest: "relative" } }] }), {
    kind: "invalid",
  });
  const lenient = { dest: join(folder, "oci-layout", "below-a-file"), "ignore-error": "true" };
  await build(other, dockerfile, { cacheTo: [{ type: "local", attributes: lenient }] });
});
