import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { EngineError } from "../../base/errors.ts";
import type { BuildEvent, Builder, BuildRequest, BuildResult, Vertex } from "../../builder/builder.ts";
import type { Contexts } from "../../builder/context/contexts.ts";
import { receiveTar } from "../../builder/context/receive-tar.ts";
import { BuildError } from "../../builder/errors.ts";
import { startApi } from "../../testing/api-harness.ts";

const range = { start: { line: 3, column: 1 }, end: { line: 3, column: 9 } };
const ID = `sha256:${"ab".repeat(32)}` as const;
const digest = (n: number) => `sha256:${String(n).repeat(64)}` as const;

function vertex(number: number, total: number, text: string, more: Partial<Vertex> = {}): Vertex {
  const step = { stage: "stage-0", stageIndex: 0, number, total, text, range };
  return { digest: digest(number), inputs: [], name: text, step, ...more };
}

const changed = (one: Vertex): BuildEvent => ({ type: "vertex", vertex: one });
const log = (number: number, data: string | Buffer, stream: 1 | 2 = 1): BuildEvent => ({
  type: "log",
  vertex: digest(number),
  stream,
  data: Buffer.from(data as string),
  time: 0,
});

/** Two steps after a base, the second done before the first. */
function steps(): BuildEvent[] {
  const [from, one, two] = [vertex(1, 3, "FROM base"), vertex(2, 3, "RUN one"), vertex(3, 3, "RUN two")];
  const started = { startedAt: 1 };
  const done = { startedAt: 1, completedAt: 2 };
  return [
    ...[from, one, two].map(changed),
    changed({ ...from, ...done, cached: true, imageId: digest(7) }),
    changed({ ...two, ...started, containerId: "2".repeat(64) }),
    log(3, "two says\n"),
    changed({ ...one, ...started, containerId: "1".repeat(64) }),
    log(2, Buffer.from([0xc3])),
    changed({ ...two, ...done, containerId: "2".repeat(64), imageId: digest(9) }),
    log(2, Buffer.from([0xa4, 0x0a])),
    log(2, "bad\n", 2),
    changed({ ...one, ...done, containerId: "1".repeat(64), imageId: digest(8) }),
  ];
}

const DRAWN = `Step 1/3 : FROM base
 ---> 777777777777
Step 2/3 : RUN one
 ---> Running in 111111111111
ä
\x1b[91mbad
\x1b[0m ---> Removed intermediate container 111111111111
 ---> 888888888888
Step 3/3 : RUN two
 ---> Running in 222222222222
two says
 ---> Removed intermediate container 222222222222
 ---> 999999999999
`;

interface Seen {
  request?: BuildRequest;
  disposed: number;
}

async function start(t: TestContext, play: (tell: (event: BuildEvent) => void, signal: AbortSignal) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-classic-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const seen: Seen = { disposed: 0 };
  const builder: Partial<Builder> = {
    build: async (request, { onProgress = () => {}, signal = new AbortController().signal } = {}) => {
      seen.request = request;
      await play(onProgress, signal);
      return { images: [{ id: ID }] } as unknown as BuildResult;
    },
  };
  const dispose = () => {
    seen.disposed++;
    return Promise.resolve();
  };
  const buildContexts: Partial<Contexts> = {
    receive: async (body) => {
      const root = mkdtempSync(join(folder, "c-"));
      await receiveTar(body, root);
      return { tree: { root }, [Symbol.asyncDispose]: dispose };
    },
    fetch: (remote) =>
      Promise.resolve({ tree: { root: folder }, dockerfile: `# ${remote}`, [Symbol.asyncDispose]: dispose }),
  };
  const api = await startApi(t, { builder, buildContexts });
  const post = async (query: string, files: Readonly<Record<string, string>> = { Dockerfile: "FROM base\n" }) => {
    const source = mkdtempSync(join(tmpdir(), "gantry-classic-"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(source, name), text);
    const body = execFileSync("tar", ["-C", source, "-c", "."]);
    rmSync(source, { recursive: true });
    const answer = await api.ask(`/v1.51/build?${query}`, {
      method: "POST",
      body,
      headers: { "Content-Type": "application/x-tar" },
    });
    const lines =
      answer.status === 200
        ? answer.text
            .split("\r\n")
            .filter(Boolean)
            .map((line) => JSON.parse(line) as Record<string, unknown>)
        : [];
    return { status: answer.status, text: answer.text, lines, drawn: lines.map(({ stream = "" }) => stream).join("") };
  };
  return { api, seen, post };
}

const play = (events: readonly BuildEvent[]) => (tell: (event: BuildEvent) => void) => {
  for (const event of events) tell(event);
  return Promise.resolve();
};

test("steps that run side by side are drawn one after another, as the classic builder draws them", async (t) => {
  const { post, seen } = await start(t, play(steps()));
  const { drawn, lines } = await post("t=app&t=other:1");
  assert.equal(
    drawn,
    `${DRAWN}Successfully built abababababab\nSuccessfully tagged app:latest\nSuccessfully tagged other:1\n`,
  );
  assert.deepEqual(
    lines.filter(({ aux }) => aux !== undefined),
    [{ aux: { ID } }],
  );
  assert.equal(seen.disposed, 1);
});

test("a quiet build says its id alone; what it said comes when it fails", async (t) => {
  const { post } = await start(t, play(steps()));
  assert.equal((await post("q=1")).drawn, `${ID}\n`);
  const failing = await start(t, async (tell) => {
    await play(steps())(tell);
    throw new EngineError("invalid", "it broke", { hint: "Mend it." });
  });
  const { lines, drawn } = await failing.post("q=1");
  assert.equal(drawn, DRAWN);
  assert.deepEqual(lines.at(-1), { errorDetail: { message: "it broke\nMend it." }, error: "it broke\nMend it." });
});

test("a failed command is told in the classic words, with its exit code, lines and hint", async (t) => {
  const { post, seen } = await start(t, (tell) => {
    tell(changed(vertex(1, 1, "RUN false", { startedAt: 1, containerId: "1".repeat(64) })));
    tell(log(1, "about to fail\n"));
    tell(changed(vertex(1, 1, "RUN false", { startedAt: 1, completedAt: 2, error: "x", containerId: "1".repeat(64) })));
    const message = 'process "/bin/sh -c false" did not complete successfully: exit code: 3';
    const step = { id: "x", exitCode: 3, file: "Dockerfile", range, excerpt: " >>> RUN false\n" };
    throw new BuildError(new EngineError("invalid", message), step, "Look at it.");
  });
  const { drawn, lines } = await post("");
  assert.equal(drawn, "Step 1/1 : RUN false\n ---> Running in 111111111111\nabout to fail\n");
  const message = "The command '/bin/sh -c false' returned a non-zero code: 3\n >>> RUN false\nLook at it.";
  assert.deepEqual(lines.at(-1), { errorDetail: { code: 3, message }, error: message });
  assert.equal(seen.disposed, 1);
});

test("an error before the first step is the answer's status", async (t) => {
  const { post, seen } = await start(t, () => {
    throw new EngineError("invalid", "dockerfile parse error on line 1: unknown instruction: FRO");
  });
  const answer = await post("");
  assert.equal(answer.status, 400);
  assert.match(answer.text, /unknown instruction: FRO/);
  assert.match((await post("", { other: "x" })).text, /Cannot locate specified Dockerfile: Dockerfile/);
  assert.match((await post("dockerfile=empty", { empty: " " })).text, /the Dockerfile \(empty\) cannot be empty/);
  assert.equal(seen.disposed, 3);
});

test("every parameter reaches the builder", async (t) => {
  const { post, seen } = await start(t, play([]));
  const query = new URLSearchParams({
    dockerfile: "Other",
    nocache: "1",
    pull: "1",
    memory: "1000",
    memswap: "-1",
    cpushares: "2",
    cpuperiod: "3",
    cpuquota: "4",
    cpusetcpus: "0-1",
    cpusetmems: "0",
    cgroupparent: "p",
    shmsize: "65536",
    ulimits: JSON.stringify([{ Name: "nofile", Soft: 1, Hard: 2 }]),
    networkmode: "none",
    buildargs: JSON.stringify({ A: "1", B: null, C: "" }),
    labels: JSON.stringify({ l: "v" }),
    cachefrom: JSON.stringify(["one", "two"]),
    squash: "1",
    platform: "linux/arm64",
    target: "stage",
    securityopt: JSON.stringify(["seccomp=unconfined"]),
  });
  query.append("extrahosts", "a:1.2.3.4");
  query.append("extrahosts", "b:::1");
  await post(String(query), { Other: "FROM other\n", ".dockerignore": "x\n!y" });
  const { context, credentials: _, ...request } = seen.request ?? ({} as never);
  assert.deepEqual(context?.ignore, ["x", "!y"]);
  assert.deepEqual(request, {
    dockerfile: { text: "FROM other\n", name: "Other" },
    tags: [],
    target: "stage",
    buildArgs: { A: "1", C: "" },
    labels: { l: "v" },
    platforms: [{ os: "linux", architecture: "arm64" }],
    noCache: true,
    pull: true,
    extraHosts: ["a:1.2.3.4", "b:::1"],
    network: "none",
    resources: {
      Memory: 1000,
      MemorySwap: -1,
      CpuShares: 2,
      CpuPeriod: 3,
      CpuQuota: 4,
      CpusetCpus: "0-1",
      CpusetMems: "0",
      CgroupParent: "p",
      Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    },
    shmSize: 65536,
    securityOptions: ["seccomp=unconfined"],
    cacheFrom: [
      { type: "registry", attributes: { ref: "one" } },
      { type: "registry", attributes: { ref: "two" } },
    ],
    squash: true,
  });
});

test("wrong parameters are refused before the context is read", async (t) => {
  const { post, seen } = await start(t, play([]));
  const wrong: Readonly<Record<string, RegExp>> = {
    "memory=x": /strconv/,
    "memory=-5": /memory cannot be negative/,
    "buildargs=[]": /buildargs/,
    "buildargs={": /buildargs/,
    'labels={"a":1}': /labels/,
    "ulimits=[1]": /ulimits/,
    "cachefrom={}": /cachefrom/,
    "t=UPPER": /invalid reference format/,
    "version=3": /invalid version 3/,
    "outputs=[{}]": /outputs/,
    "isolation=hyperv": /Unsupported isolation/,
    "platform=a/b/c/d": /unknown operating system/,
  };
  for (const [query, message] of Object.entries(wrong)) {
    const answer = await post(encodeURI(query));
    assert.ok(answer.status === 400 || answer.status === 501, query);
    assert.match(answer.text, message, query);
  }
  assert.equal(seen.request, undefined);
});

test("remote= is fetched, and credentials come from the header", async (t) => {
  const { api, seen } = await start(t, play([]));
  const config = { "https://index.docker.io/v1/": { username: "u", password: "p" }, "x.io": { auth: btoa("a:b") } };
  await api.ask("/build?remote=http://x/Dockerfile", {
    method: "POST",
    headers: { "X-Registry-Config": Buffer.from(JSON.stringify(config)).toString("base64url") },
  });
  assert.equal(seen.request?.dockerfile.text, "# http://x/Dockerfile");
  assert.deepEqual(seen.request?.credentials, {
    "docker.io": { username: "u", password: "p", identityToken: undefined },
    "x.io": { username: "a", password: "b", identityToken: undefined },
  });
});

test("when the client goes the build is cancelled, and its context freed", async (t) => {
  const began = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  const { api, seen } = await start(t, async (tell, signal) => {
    tell(changed(vertex(1, 1, "RUN sleep", { startedAt: 1 })));
    began.resolve();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    cancelled.resolve();
    throw new EngineError("cancelled", "context canceled");
  });
  const raw = api.connect();
  raw.write("POST /build?remote=http://x/y HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  await began.promise;
  raw.socket.destroy();
  await cancelled.promise;
  while (seen.disposed === 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test("a prune's keep and filters reach the builder, and its result is told as an event", async (t) => {
  const asked: unknown[] = [];
  const published: unknown[] = [];
  const api = await startApi(t, {
    builder: {
      prune: (options) => {
        asked.push(options);
        return Promise.resolve({ deleted: ["a"], reclaimed: 7 });
      },
    },
    events: { publish: (event) => void published.push(event) },
  });
  const filters = encodeURIComponent(JSON.stringify({ until: ["24h"] }));
  const { json } = await api.ask(`/build/prune?all=1&keep-storage=100&filters=${filters}`, { method: "POST" });
  assert.deepEqual(json, { CachesDeleted: ["a"], SpaceReclaimed: 7 });
  assert.deepEqual(asked, [{ all: true, keepStorage: 100, filters: { until: ["24h"] } }]);
  assert.deepEqual(published, [{ type: "builder", action: "prune", id: "", attributes: { reclaimed: "7" } }]);
});
