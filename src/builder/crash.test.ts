/** kill -9 of gantryd while it builds: nothing is leaked past the next start, and what was finished is found. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountTable } from "../kernel/mounts.ts";
import { makeContext } from "../testing/build-harness.ts";
import { processesOf, startDaemon, type TestDaemon } from "../testing/daemon.ts";

const CLI = join(import.meta.dirname, "..", "..", "bin", "gantry");

function startBuild(daemon: TestDaemon, root: string, ...args: string[]): ChildProcess & { said: string } {
  const env = { ...process.env, DOCKER_HOST: daemon.host, HOME: daemon.folder };
  const child = Object.assign(spawn(CLI, ["build", "--progress=plain", ...args, root], { env }), { said: "" });
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      child.said += chunk.toString();
    });
  return child;
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (condition()) return;
    await sleep(50);
  }
  assert.fail(what());
}

/** What lies on the disk and in the kernel, beyond what rows name. */
function leftovers({ dataRoot, execRoot, folder }: TestDaemon) {
  const database = new DatabaseSync(join(dataRoot, "gantry.db"), { readOnly: true });
  const folders = (table: string) =>
    database
      .prepare(`SELECT folder FROM ${table}`)
      .all()
      .map(({ folder: name }) => String(name));
  const named = new Set([...folders("layers"), ...folders("snapshots"), ...folders("init_trees")]);
  const contexts = new Set(
    database
      .prepare("SELECT id FROM build_contexts")
      .all()
      .map(({ id }) => String(id)),
  );
  const snapshots = database.prepare("SELECT key FROM snapshots").all().length;
  database.close();
  return {
    snapshots,
    trees: readdirSync(join(dataRoot, "snapshots")).filter((name) => !named.has(name)),
    bundles: readdirSync(join(execRoot, "containers")),
    containers: readdirSync(join(dataRoot, "containers")),
    ingests: readdirSync(join(dataRoot, "content/ingest")),
    contexts: readdirSync(join(dataRoot, "contexts")).filter((name) => !contexts.has(name)),
    fetched: readdirSync(join(dataRoot, "tmp")).filter((name) => name !== "empty"),
    mounts: mountTable()
      .filter(({ target, type }) => target.startsWith(folder) && type !== "nsfs")
      .map(({ target }) => target),
    processes: processesOf(folder),
  };
}

/** What removals behind a start's back still have to do takes its time. */
async function assertClean(daemon: TestDaemon, when: string): Promise<void> {
  const state = () => JSON.stringify(leftovers(daemon));
  await until(
    () => state() === JSON.stringify(NOTHING),
    () => `${when}: ${state()}`,
  );
}

const NOTHING = {
  snapshots: 0,
  trees: [],
  bundles: [],
  containers: [],
  ingests: [],
  contexts: [],
  fetched: [],
  mounts: [],
  processes: [],
};

test("a daemon that is killed while steps run leaves nothing past its next start", async (t) => {
  await using daemon = await startDaemon();
  const root = makeContext(t, {
    Dockerfile: `FROM busybox AS a
RUN echo first > /first
RUN --mount=type=cache,target=/c --mount=type=secret,id=s,required echo A RUNS; sleep 300
FROM busybox AS b
RUN dd if=/dev/zero of=/big bs=1M count=20 && echo B RUNS && sleep 300
FROM busybox
COPY --from=a /first /
COPY --from=b /big /
`,
    secret: "s",
  });
  const child = startBuild(daemon, root, "--secret", `id=s,src=${join(root, "secret")}`);
  await until(
    () => child.said.includes("A RUNS\n") && child.said.includes("B RUNS\n"),
    () => child.said,
  );
  await daemon.kill();
  await daemon.start();
  await until(
    () => processesOf(daemon.folder).length === 0,
    () => "the steps' processes go on",
  );
  await until(
    () => leftovers(daemon).trees.length === 0,
    () => JSON.stringify(leftovers(daemon)),
  );
  assert.deepEqual(leftovers(daemon), NOTHING);
  const again = startBuild(daemon, root, "--target", "a", "--secret", `id=s,src=${join(root, "secret")}`);
  await until(
    () => again.said.includes("A RUNS\n"),
    () => again.said,
  );
  assert.match(again.said, /CACHED/);
  again.kill("SIGINT");
  await until(
    () => again.exitCode !== null,
    () => again.said,
  );
  await until(
    () => leftovers(daemon).bundles.length === 0,
    () => "the interrupted build goes on",
  );
});

test("killed at any moment of a quick build, the daemon starts clean and builds the same", async (t) => {
  await using daemon = await startDaemon();
  const files = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`src/${i}`, `${i}`.repeat(1000)]));
  const root = makeContext(t, {
    ...files,
    Dockerfile: "FROM busybox\nWORKDIR /w\nCOPY src .\nRUN cat * > /all\nRUN wc -c /all > /size\nENV A=b\n",
  });
  for (let round = 0; round < 6; round++) {
    const child = startBuild(daemon, root, "--no-cache", "-t", "crashed");
    await sleep(150 + round * 130);
    await daemon.kill();
    child.kill("SIGKILL");
    await daemon.start();
    await until(
      () => processesOf(daemon.folder).length === 0,
      () => "a step's process goes on",
    );
    // Trees are removed behind the start's back.
    await until(
      () => leftovers(daemon).trees.length === 0,
      () => JSON.stringify(leftovers(daemon)),
    );
    assert.deepEqual(leftovers(daemon), NOTHING, `round ${round}`);
  }
  const last = startBuild(daemon, root, "-t", "whole");
  await until(
    () => last.exitCode !== null,
    () => last.said,
  );
  assert.equal(last.exitCode, 0, last.said);
});

/** Every phase: receiving a context (ours, docker's), steps, copying, storing the image, giving products out, writing a cache. */
test("killed at random moments in every phase, it leaves nothing and gives the same image in the end", async (t) => {
  await using daemon = await startDaemon();
  const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`src/${i}`, `${i}`.repeat(3000)]));
  const root = makeContext(t, {
    ...files,
    Dockerfile:
      "FROM busybox AS a\nCOPY src /src\nFROM busybox\nCOPY --from=a /src /w\nRUN cat /w/* > /all\nADD src /again/\n",
  });
  const out = makeContext(t, { "cache/x": "", product: "" });
  const all = [
    "--cache-to",
    `type=local,dest=${join(out, "cache")},mode=max`,
    "--output",
    `type=oci,dest=${out}/product`,
  ];
  const ways: Record<string, () => ChildProcess & { said: string }> = {
    gantry: () => startBuild(daemon, root, "--no-cache", ...all),
    // A folder that the daemon does not know: all of it is sent.
    fresh: () => startBuild(daemon, makeContext(t, { ...files, Dockerfile: "FROM busybox\nCOPY src /src\n" })),
    classic: () => startClassic(daemon, root),
  };
  for (const [way, start] of Object.entries(ways)) {
    const begun = performance.now();
    const whole = start();
    await until(
      () => whole.exitCode !== null,
      () => whole.said,
    );
    assert.equal(whole.exitCode, 0, whole.said);
    const took = performance.now() - begun;
    for (let round = 0; round < 2; round++) {
      const child = start();
      const moment = took * Math.random();
      await sleep(moment);
      await daemon.kill();
      child.kill("SIGKILL");
      await daemon.start();
      await assertClean(daemon, `${way}, after ${Math.round(moment)} of ${Math.round(took)} ms`);
    }
  }
  const last = startBuild(daemon, root, "--no-cache", ...all);
  await until(
    () => last.exitCode !== null,
    () => last.said,
  );
  assert.equal(last.exitCode, 0, last.said);
});

/** Docker's way, without its CLI: the context as one archive. */
function startClassic({ host }: TestDaemon, root: string): ChildProcess & { said: string } {
  const socket = host.replace("unix://", "");
  const script = `set -o pipefail; tar -C "$0" -c . | curl -sS --fail-with-body --unix-socket "$1" -H 'Content-Type: application/x-tar' -T - -X POST 'http://d/v1.51/build?nocache=1'`;
  const child = Object.assign(spawn("bash", ["-c", script, root, socket]), { said: "" });
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      child.said += chunk.toString();
    });
  return child;
}
