/** The connection of `gantry build`, both ends of it, around a builder that does what the test says. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, PassThrough, Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { EngineError } from "../../base/errors.ts";
import { bytesOf, Mux } from "../../base/mux.ts";
import type { Builder, BuildRequest, BuildResult, ExportInput } from "../../builder/builder.ts";
import { openContexts } from "../../builder/context/open.ts";
import { BuildError } from "../../builder/errors.ts";
import { lookUp } from "../../builder/given.ts";
import type { BuildAnswers } from "../../client/builds.ts";
import { createClient } from "../../client/client.ts";
import { openStore } from "../../store/open.ts";
import { makePaths } from "../../store/paths.ts";
import { startApi } from "../../testing/api-harness.ts";
import type { WireBuild, WireBuildEvent } from "../types/build.ts";

const digest = `sha256:${"a".repeat(64)}` as const;
const RESULT = {
  images: [
    { id: digest, manifest: { mediaType: "m", digest, size: 1 }, platform: { os: "linux", architecture: "amd64" } },
  ],
  target: { mediaType: "m", digest, size: 1 },
  metadata: { said: "so" },
  warnings: [],
} as unknown as BuildResult;

type Play = (request: BuildRequest, signal: AbortSignal, tell: (event: never) => void) => Promise<void>;

async function start(t: TestContext, play: Play, more: Partial<Builder> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-session-"));
  const store = openStore(makePaths(join(folder, "data"), join(folder, "exec")));
  t.after(() => {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const builder: Partial<Builder> = {
    build: async (request, { signal = new AbortController().signal, onProgress = () => {} } = {}) => {
      await play(request, signal, onProgress as never);
      return RESULT;
    },
    ...more,
  };
  const contexts = openContexts({ store });
  const api = await startApi(t, {
    builder,
    buildContexts: { sync: (r) => contexts.sync(r), receive: (b, o) => contexts.receive(b, o) },
  });
  const { builds, transport } = createClient({ host: `unix://${api.path}` });
  const build = (request: Partial<WireBuild>, answers: BuildAnswers = {}, signal?: AbortSignal) => {
    const events: WireBuildEvent[] = [];
    const running = builds.build(
      { dockerfile: { text: "FROM x" }, ...request },
      { answers, signal, onEvent: (event) => events.push(event) },
    );
    return Object.assign(running, { events });
  };
  return { builds, build, transport };
}

const read = async (stream: AsyncIterable<Buffer>) => Buffer.concat(await Array.fromAsync(stream)).toString();

test("a request reaches the builder as it was meant, and the result comes back", async (t) => {
  let seen: BuildRequest | undefined;
  const { build } = await start(t, (request) => {
    seen = request;
    return Promise.resolve();
  });
  const result = await build({
    buildArgs: { A: "1" },
    labels: { l: "v" },
    platforms: ["linux/arm64/v8"],
    noCache: ["stage"],
    tags: ["a:1"],
    sourceDateEpoch: 5,
    cacheFrom: [{ type: "inline", attributes: {} }],
    resources: { Memory: 7, Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }] },
    entitlements: ["network.host"],
  });
  assert.equal(result.images[0]?.id, digest);
  assert.equal(result.images[0]?.platform, "linux/amd64");
  assert.deepEqual(result.metadata, { said: "so" });
  assert.deepEqual(seen?.dockerfile, { text: "FROM x", name: "Dockerfile" });
  assert.deepEqual(seen?.platforms, [{ os: "linux", architecture: "arm64", variant: "v8" }]);
  assert.deepEqual(seen?.noCache, ["stage"]);
  assert.deepEqual(seen?.resources, { Memory: 7, Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }] });
  assert.deepEqual([seen?.sourceDateEpoch, seen?.tags, seen?.entitlements], [5, ["a:1"], ["network.host"]]);
});

test("secrets and agents are asked for when they are used, as often as they are used", async (t) => {
  const asked: string[] = [];
  const { build } = await start(t, async ({ secrets, ssh }, signal) => {
    const secret = async (id: string) => (await lookUp(secrets, id, signal))?.read(signal);
    assert.equal(String(await secret("one")), "value");
    assert.equal(String(await secret("one")), "value");
    const agent = (await (await lookUp(ssh, "default", signal))?.connect(signal)) as Duplex;
    agent.end("question");
    assert.equal(await read(bytesOf(agent)), "answer to question");
    await assert.rejects(secret("large"), { kind: "too-large" });
    await assert.rejects(secret("gone"), {
      kind: "not-found",
      message: "no such secret",
    });
  });
  await build(
    { secrets: ["one", "large", "gone"], ssh: ["default"] },
    {
      secret: ({ id }, channel) => {
        asked.push(id);
        if (id === "gone") throw new EngineError("not-found", "no such secret");
        channel.end(id === "large" ? Buffer.alloc(600_000) : "value");
        return Promise.resolve();
      },
      ssh: async (_, channel) => {
        channel.end(`answer to ${await read(bytesOf(channel))}`);
      },
    },
  );
  assert.deepEqual(asked, ["one", "one", "large", "gone"]);
});

test("products are written by the client, whose failure is the build's", async (t) => {
  const { build } = await start(t, async ({ exporters = [] }, signal) => {
    const input = {
      result: RESULT,
      tags: [],
      sourceDateEpoch: undefined,
      signal,
      withTree: (_: unknown, work: (root: string) => Promise<unknown>) => work("/etc/apt"),
      log: () => {},
    } as unknown as ExportInput;
    for (const exporter of exporters) await exporter.export(input);
  });
  const exporters = [{ type: "tar", attributes: {} }];
  let bytes = 0;
  await build(
    { exporters },
    {
      export: async (_, channel) => {
        for await (const chunk of bytesOf(channel)) bytes += chunk.length;
        channel.end();
      },
    },
  );
  assert.ok(bytes > 1024);
  const refused = build(
    { exporters },
    { export: () => Promise.reject(new EngineError("unavailable", "the disk is full here")) },
  );
  await assert.rejects(refused, { kind: "unavailable", message: "the disk is full here" });
  await assert.rejects(build({ exporters: [{ type: "zip", attributes: {} }] }), /exporter "zip" could not be found/);
});

test("a folder is listed, and only its new files are sent", async (t) => {
  const contents: string[] = [];
  const { build } = await start(t, async ({ context }) => {
    const { readFileSync } = await import("node:fs");
    contents.push(readFileSync(join(context?.root ?? "", "f"), "utf8"));
  });
  const asked: string[] = [];
  const answers = (data: string): BuildAnswers => ({
    listing: (_, channel) => {
      channel.end(`${JSON.stringify(["f", "f", 0o644, "1", data.length, "", data])}\n`);
      return Promise.resolve();
    },
    files: async (_, channel) => {
      asked.push(await read(bytesOf(channel)));
      channel.end(data);
    },
  });
  const context = { kind: "folder", key: "machine:folder", description: "d" } as const;
  const first = build({ context }, answers("one"));
  await first;
  assert.match(JSON.stringify(first.events), /receive build context.*"completed":true/);
  await build({ context }, answers("one"));
  await build({ context }, answers("two"));
  assert.deepEqual(contents, ["one", "one", "two"]);
  assert.deepEqual(asked, ["[0]", "[0]"]);
  await assert.rejects(build({ context }, {}), { kind: "not-implemented" });
});

test("failures keep their kind, their hint and the step", async (t) => {
  const range = { start: { line: 3, column: 1 }, end: { line: 3, column: 9 } };
  const { build, builds, transport } = await start(t, () => {
    const step = { id: "abc", exitCode: 7, file: "Dockerfile", range, excerpt: "lines" };
    throw new BuildError(new EngineError("invalid", "it failed"), step, "Look.");
  });
  await assert.rejects(build({}), {
    name: "BuildFailedError",
    kind: "invalid",
    hint: "Look.",
    failure: {
      kind: "invalid",
      message: "it failed",
      hint: "Look.",
      step: { id: "abc", exitCode: 7, file: "Dockerfile", line: 3, excerpt: "lines" },
    },
  });
  await assert.rejects(build({ tags: ["UPPER"] }), /invalid reference format|must be lowercase/);
  await assert.rejects(build({ context: { kind: "folder" } as never }), /kind "folder" cannot be used/);
  await assert.rejects(build({ platforms: ["a/b/c/d"] }), /unknown operating system/);
  await assert.rejects(builds.check({ dockerfile: {} }, { answers: {} }), /neither a Dockerfile nor a context/);
  const { stream } = await transport.hijack("/gantry/build");
  const mux = new Mux(stream, { side: "client", onOpen: () => {} });
  for (const [purpose, message] of [
    [{ call: "build", version: 99 }, /version 99/],
    [{ call: "dance", version: 1 }, /no call \\"dance/],
    [null, /version undefined/],
    [{ call: "build", version: 1 }, /request is missing/],
  ] as const)
    assert.match(await read(bytesOf(mux.open(purpose))), message);
  mux.close();
});

test("a client that goes, or says stop, cancels its build", async (t) => {
  const ended: string[] = [];
  const { build } = await start(t, async (_, signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    ended.push("aborted");
    throw new EngineError("cancelled", "context canceled");
  });
  const controller = new AbortController();
  const running = build({}, {}, controller.signal);
  setTimeout(() => controller.abort(new EngineError("cancelled", "stop")), 20);
  await assert.rejects(running, { kind: "cancelled" });
  while (ended.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
});

test("a process that floods its output does not fill memory while the client is slow", async (t) => {
  const { transport } = await start(t, (_request, _signal, tell) => {
    for (let i = 0; i < 2000; i++)
      tell({ type: "log", vertex: digest, stream: 1, data: Buffer.alloc(64 << 10, "x"), time: 0 } as never);
    return Promise.resolve();
  });
  const { stream } = await transport.hijack("/gantry/build");
  const mux = new Mux(stream, { side: "client", onOpen: () => {} });
  const channel = mux.open({ call: "build", version: 1, request: { dockerfile: { text: "FROM x" } } });
  await new Promise((resolve) => setTimeout(resolve, 100));
  let bytes = 0;
  let last = "";
  for await (const chunk of bytesOf(channel)) {
    bytes += chunk.length;
    last = (last + chunk.toString()).slice(-1000);
  }
  assert.ok(bytes < 40 << 20, String(bytes));
  assert.match(last, /"result"/);
  mux.close();
});

test("a shell has its bytes, its size and its exit code carried", async (t) => {
  const sizes: unknown[] = [];
  const input = new PassThrough();
  const { builds } = await start(t, () => Promise.resolve(), {
    shell: (step, { terminal, size, command }) => {
      sizes.push([step, terminal, size, command]);
      const output = Readable.from(
        (async function* () {
          for await (const chunk of input) {
            yield Buffer.from(`heard ${chunk}`);
            break;
          }
        })(),
      );
      const resize = (rows: number, columns: number) => Promise.resolve(void sizes.push([rows, columns]));
      return Promise.resolve({ output, input, exitCode: Promise.resolve(9), resize });
    },
  });
  let heard = "";
  const code = await builds.shell(
    "abc",
    { terminal: true, rows: 3, columns: 4, command: ["sh"] },
    {
      io: async (channel) => {
        channel.write("hello");
        heard = await read(bytesOf(channel));
      },
      onResize: (resize) => resize(5, 6),
    },
  );
  assert.equal(heard, "heard hello");
  assert.equal(code, 9);
  assert.deepEqual(sizes, [
    ["abc", true, [3, 4], ["sh"]],
    [5, 6],
  ]);
});
