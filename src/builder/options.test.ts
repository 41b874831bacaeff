/** What a build is asked besides its Dockerfile: limits, names, networks, labels, big contexts, other drivers. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { build, makeContext } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";

test("limits, hosts, shared memory and networks reach each RUN step", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = `FROM busybox
RUN ulimit -n; df -k /dev/shm | tail -1 | awk '{print $2}'; grep -c known /etc/hosts
RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; ls /sys/class/net
RUN --network=none ls /sys/class/net; hostname | grep -c '^[0-9a-f]\\{12\\}$'
`;
  const { output } = await build(engine, dockerfile, {
    network: "none",
    resources: { Memory: 64 << 20, Ulimits: [{ Name: "nofile", Soft: 111, Hard: 222 }] },
    shmSize: 3 << 20,
    extraHosts: ["known:10.1.2.3", "other=::1"],
  });
  assert.deepEqual(output.trim().split("\n"), ["111", "3072", "1", String(64 << 20), "lo", "lo", "1"]);
});

test("a step that takes more memory than it may is told so", async (t) => {
  const { engine } = await startEngine(t);
  const greedy = "FROM busybox\nRUN dd if=/dev/zero of=/dev/shm/f bs=1M count=40\n";
  await assert.rejects(
    build(engine, greedy, { resources: { Memory: 16 << 20, MemorySwap: 16 << 20 } }),
    /non-zero code/,
  );
});

test("labels come last, proxies are given and not kept, tags all point to the image", async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = "FROM busybox\nLABEL a=1 b=1\nRUN echo $http_proxy $UNKNOWN\n";
  const run = await build(engine, dockerfile, {
    labels: { b: "2", "c d": "it's $HOME" },
    buildArgs: { http_proxy: "http://proxy", UNKNOWN: "x" },
    tags: ["one", "host.example:5000/two:three"],
  });
  assert.equal(run.output, "http://proxy\n");
  const { config, history } = engine.images.get("host.example:5000/two:three").config;
  assert.deepEqual(config?.Labels, { a: "1", b: "2", "c d": "it's $HOME" });
  assert.equal(engine.images.get("one").id, run.images[0]?.id);
  assert.doesNotMatch(JSON.stringify([config, history]), /http:\/\/proxy/);
  assert.match(history?.at(-1)?.created_by ?? "", /LABEL b=2 c d=it's \$HOME/);
  assert.equal(run.events.filter(({ type }) => type === "warning").length, 0);
});

test("thousands of files are copied by a worker, and an abort stops it", async (t) => {
  const { engine } = await startEngine(t);
  const files = Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`d${i % 50}/f${i}`, `${i}`]));
  const root = makeContext(t, files);
  const dockerfile = "FROM busybox\nCOPY . /d\nRUN find /d -type f | wc -l; cat /d/*/* | md5sum\n";
  const context = { root };
  const whole = await build(engine, dockerfile, { context });
  assert.match(whole.output, /^2500\n/);
  const again = await build(engine, dockerfile, { context, noCache: true });
  assert.equal(again.output, whole.output);
  const stop = new AbortController();
  const running = build(engine, dockerfile, { context, noCache: true, signal: stop.signal });
  setTimeout(() => stop.abort(), 60);
  await assert.rejects(running, { kind: "cancelled" });
  assert.deepEqual((await build(engine, dockerfile, { context })).ran, []);
});

test("without overlay trees are copied, and builds give the same", async (t) => {
  const dockerfile = `FROM busybox AS a
WORKDIR /w
RUN echo x > x && rm /bin/ls && ln x y
FROM a
COPY f /w/sub/
RUN --mount=type=bind,target=/c,rw touch /c/new && cat /w/x /w/sub/f && [ x -ef y ] && busybox ls / | wc -l
`;
  const layers = [];
  for (const storageDriver of ["overlay", "copy"] as const) {
    const { engine } = await startEngine(t, { storageDriver });
    const root = makeContext(t, { f: "f\n" });
    const run = await build(engine, dockerfile, { context: { root }, sourceDateEpoch: 1_700_000_000 });
    assert.match(run.output, /^x\nf\n\d+\n$/);
    assert.deepEqual((await build(engine, dockerfile, { context: { root }, sourceDateEpoch: 1_700_000_000 })).ran, []);
    layers.push(run.images[0]?.config.rootfs.diff_ids.length);
  }
  assert.equal(layers[0], layers[1]);
});

test("stages that do not need each other run at the same time", async (t) => {
  const { engine } = await startEngine(t);
  const stages = Array.from(
    { length: 6 },
    (_, i) =>
      `FROM busybox AS s${i}\nRUN mkdir -p /b/${i} && cat /proc/uptime > /b/${i}/from && sleep 1 && cat /proc/uptime > /b/${i}/to\n`,
  );
  const copies = stages.map((_, i) => `COPY --from=s${i} /b /b\n`);
  const { output } = await build(
    engine,
    `${stages.join("")}FROM busybox\n${copies.join("")}RUN cat /b/*/from | sort -n | tail -1; cat /b/*/to | sort -n | head -1\n`,
  );
  const [lastBegin = "", firstEnd = ""] = output.trim().split("\n");
  assert.ok(Number.parseFloat(lastBegin) < Number.parseFloat(firstEnd), output);
});

test("an image without layers, and one of one file", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { f: "f" });
  const none = await build(engine, "FROM scratch\nLABEL a=b\n", { tags: ["none"] });
  assert.deepEqual(none.images[0]?.layers, []);
  const one = await build(engine, "FROM scratch\nCOPY f /\n", { tags: ["one"], context: { root: join(root, ".") } });
  assert.equal(one.images[0]?.layers.length, 1);
});
