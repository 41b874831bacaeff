/** Dockerfiles built by a real engine: trees, configurations, history. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { build, makeContext } from "../testing/build-harness.ts";
import { createBusybox, logText, runToEnd, startEngine } from "../testing/engine-harness.ts";

test("a stage of each kind of step becomes an image that runs", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, {
    "app/hello.txt": "hello\n",
    "app/sub/x": "x",
    "run.sh": "#!/bin/sh\ncat /srv/hello.txt\n",
  });
  const dockerfile = `FROM busybox AS base
ARG GREETING=hi
ENV NAME=world
WORKDIR /srv
RUN echo "$GREETING $NAME" > made.txt && echo out && echo err >&2
COPY app .
COPY --chmod=755 run.sh /usr/bin/
LABEL a=b
USER 1000
CMD ["run.sh"]
`;
  const run = await build(engine, dockerfile, { context: { root }, tags: ["made:1"] });
  assert.match(run.output, /out\n/);
  assert.match(run.output, /err\n/);
  const image = engine.images.get("made:1");
  assert.equal(image.id, run.images[0]?.id);
  const { config, history } = image.config;
  assert.deepEqual(config?.Cmd, ["run.sh"]);
  assert.equal(config?.WorkingDir, "/srv");
  assert.deepEqual(config?.Labels, { a: "b" });
  assert.deepEqual(
    history
      ?.slice(2)
      .map(({ created_by, empty_layer = false }) => [created_by?.replace(/:[0-9a-f]{64}/, ":…"), empty_layer]),
    [
      ["/bin/sh -c #(nop)  ARG GREETING=hi", true],
      ["/bin/sh -c #(nop)  ENV NAME=world", true],
      ["/bin/sh -c #(nop) WORKDIR /srv", false],
      ['|1 GREETING=hi /bin/sh -c echo "$GREETING $NAME" > made.txt && echo out && echo err >&2', false],
      ["/bin/sh -c #(nop) COPY dir:… in . ", false],
      ["/bin/sh -c #(nop) COPY file:… in /usr/bin/ ", false],
      ["/bin/sh -c #(nop)  LABEL a=b", true],
      ["/bin/sh -c #(nop)  USER 1000", true],
      ['/bin/sh -c #(nop)  CMD ["run.sh"]', true],
    ],
  );
  const id = await createBusybox(engine, ["sh", "-c", "cat made.txt; id -u; run.sh; ls -l /srv /srv/sub"], {
    Image: "made:1",
  });
  assert.equal(await runToEnd(engine, id), 0);
  const seen = await logText(engine, id);
  assert.match(seen, /^hi world\n1000\nhello\n/);
  assert.match(seen, /-rw-r--r-- +1 root +root +6 .* hello\.txt/);
  const again = await build(engine, dockerfile, { context: { root }, tags: ["made:1"] });
  assert.deepEqual(again.ran, []);
  assert.equal(again.images[0]?.id, image.id);
});

test("each name that an image gets is an event", async (t) => {
  const { engine } = await startEngine(t);
  await build(engine, "FROM busybox\nLABEL a=b\n", { tags: ["one", "two:2"] });
  const options = { filters: { event: ["tag"] }, since: 0n, until: BigInt(Date.now() + 5) * 1_000_000n };
  const events = await Array.fromAsync(engine.events.subscribe(options));
  assert.deepEqual(
    events.map(({ Action, Actor }) => [Action, Actor.Attributes]),
    [
      ["tag", { a: "b", name: "one:latest" }],
      ["tag", { a: "b", name: "two:2" }],
    ],
  );
});

test("squashing leaves one layer above the base, with what was removed gone", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = "FROM busybox\nRUN echo secret > /secret && echo 1 > /kept\nRUN rm /secret /bin/ls\nENV A=b\n";
  const run = await build(engine, dockerfile, { squash: true, tags: ["one"] });
  const [image] = run.images;
  assert.equal(image?.layers.length, 2);
  const plain = await build(engine, dockerfile, { tags: ["three"] });
  assert.equal(plain.images[0]?.layers.length, 3);
  const last = image?.config.history?.slice(-4).map(({ empty_layer = false }) => empty_layer);
  assert.deepEqual(last, [true, true, true, false]);
  const id = await createBusybox(engine, ["sh", "-c", "busybox ls / /bin/ls; cat /kept; echo $A"], { Image: "one" });
  await runToEnd(engine, id);
  const seen = await logText(engine, id);
  assert.match(seen, /\/bin\/ls: No such file/);
  assert.doesNotMatch(seen, /^secret$/m);
  assert.match(seen, /1\nb\n/);
  assert.deepEqual((await build(engine, dockerfile, { squash: true })).images[0]?.id, image?.id);
});
