import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { openStore } from "../../store/open.ts";
import { makePaths } from "../../store/paths.ts";
import type { Contexts, SyncLine } from "./contexts.ts";
import { readDockerfile } from "./dockerfile-file.ts";
import { openContexts } from "./open.ts";

function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-contexts-"));
  const paths = makePaths(join(folder, "data"), join(folder, "exec"));
  let store = openStore(paths);
  t.after(() => {
    store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    paths,
    contexts: openContexts({ store }),
    reopen: () => {
      store.close();
      store = openStore(paths);
      return openContexts({ store });
    },
  };
}

const line = (path: string, size: number, stamp = "1"): SyncLine => [path, "f", 0o644, "1", size, "", stamp];

function sync(contexts: Contexts, name: string, files: Readonly<Record<string, string>>, asked: string[] = []) {
  const entries = Object.entries(files).map(([path, data]) => [line(path, data.length, data), data] as const);
  async function* lines(): AsyncGenerator<string> {
    for (const [entry] of entries) yield JSON.stringify(entry);
  }
  return contexts.sync({
    name,
    description: "context",
    lines: lines(),
    async *contents(numbers) {
      for (const number of numbers) {
        asked.push(entries[number]?.[0][0] ?? "");
        yield Buffer.from(entries[number]?.[1] ?? "");
      }
    },
  });
}

test("a folder is kept for the next build, also over a restart", async (t) => {
  const { contexts, reopen } = setUp(t);
  await using first = await sync(contexts, "folder", { a: "one", b: "two" });
  assert.equal(readFileSync(join(first.tree.root, "a"), "utf8"), "one");
  await first[Symbol.asyncDispose]();
  const again = reopen();
  const asked: string[] = [];
  await using second = await sync(again, "folder", { a: "one", b: "new" }, asked);
  assert.deepEqual(asked, ["b"]);
  assert.equal(second.tree.root, first.tree.root);
  const [record] = again.records();
  assert.deepEqual([record?.usageCount, record?.inUse, again.records().length], [2, true, 1]);
  assert.equal(await again.remove(record?.id ?? ""), false);
  await second[Symbol.asyncDispose]();
  assert.equal(await again.remove(record?.id ?? ""), true);
  assert.ok(!existsSync(first.tree.root));
  assert.deepEqual(again.records(), []);
});

test("builds of one folder at the same time have a copy each; one copy stays", async (t) => {
  const { contexts } = setUp(t);
  const first = await sync(contexts, "folder", { a: "one" });
  const second = await sync(contexts, "folder", { a: "two" });
  assert.equal(readFileSync(join(first.tree.root, "a"), "utf8"), "one");
  assert.equal(readFileSync(join(second.tree.root, "a"), "utf8"), "two");
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  assert.equal(contexts.records().length, 1);
});

test("what a failed or killed sync left goes, and what no row knows", async (t) => {
  const { contexts, reopen, paths } = setUp(t);
  await (await sync(contexts, "kept", { a: "one" }))[Symbol.asyncDispose]();
  async function* lines(): AsyncGenerator<string> {
    yield JSON.stringify(line("f", 10));
  }
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from("123");
    throw new Error("gone");
  }
  const request = { name: "broken", description: "", lines: lines(), contents: broken };
  await assert.rejects(contexts.sync(request), /gone/);
  assert.equal(readdirSync(paths.contexts).length, 1);
  const never = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  async function* endless(): AsyncGenerator<Buffer> {
    yield Buffer.from("123");
    reached.resolve();
    await never.promise;
  }
  const hanging = contexts.sync({ ...request, lines: lines(), contents: endless });
  hanging.catch(() => {});
  await reached.promise;
  mkdirSync(join(paths.contexts, "stray"));
  assert.equal(readdirSync(paths.contexts).length, 3);
  const again = reopen();
  assert.equal(again.records().length, 1);
  while (readdirSync(paths.contexts).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
});

test("a received archive is gone after the build, or at once when it is wrong", async (t) => {
  const { contexts, folder, paths } = setUp(t);
  writeFileSync(join(folder, "Dockerfile"), "FROM scratch\n");
  const archive = execFileSync("tar", ["-C", folder, "-c", "Dockerfile"]);
  {
    await using context = await contexts.receive(Readable.from([archive], { objectMode: false }));
    assert.equal(readDockerfile(context.tree.root).text, "FROM scratch\n");
    assert.equal(readdirSync(paths.tmp).length, 1);
  }
  await assert.rejects(contexts.receive(Readable.from([Buffer.alloc(600, 1)])), { kind: "invalid" });
  assert.deepEqual(readdirSync(paths.tmp), []);
});

test("a URL gives an archive or a Dockerfile", async (t) => {
  const { contexts, folder, paths } = setUp(t);
  writeFileSync(join(folder, "file"), "content");
  const archive = execFileSync("tar", ["-C", folder, "-c", "file"]);
  const answers: Readonly<Record<string, Buffer | string>> = {
    "/a.tar": archive,
    "/a.tgz": gzipSync(archive),
    "/text": "FROM busybox\n",
    "/binary": Buffer.from([1, 0, 2]),
  };
  const server = createServer((request, response) => {
    if (request.url === "/moved") return response.writeHead(302, { Location: "/a.tar" }).end();
    const answer = answers[request.url ?? ""];
    if (request.url === "/cut") {
      response.writeHead(200, { "Content-Length": archive.length });
      response.write(archive.subarray(0, 600), () => response.destroy());
      return undefined;
    }
    return answer === undefined ? response.writeHead(404).end("no") : response.end(answer);
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const path of ["/a.tar", "/a.tgz", "/moved"]) {
    await using context = await contexts.fetch(base + path);
    assert.equal(readFileSync(join(context.tree.root, "file"), "utf8"), "content", path);
  }
  await using text = await contexts.fetch(`${base}/text`);
  assert.equal(text.dockerfile, "FROM busybox\n");
  await text[Symbol.asyncDispose]();
  const wrong: readonly (readonly [string, RegExp])[] = [
    [`${base}/none`, /failed to GET .*404/],
    [`${base}/binary`, /neither an archive nor a Dockerfile/],
    [`${base}/cut`, /truncated|unable to download/],
    ["http://127.0.0.1:1/x", /unable to download/],
    ["ftp://x/y", /could not be used as a context/],
    ["/etc", /could not be used as a context/],
  ];
  for (const [url, message] of wrong) await assert.rejects(contexts.fetch(url), { kind: "invalid", message }, url);
  assert.deepEqual(readdirSync(paths.tmp), []);
});

test("the Dockerfile and its ignore file are found inside the context only", (t) => {
  const root = mkdtempSync(join(tmpdir(), "gantry-dockerfile-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  assert.throws(() => readDockerfile(root), { message: "Cannot locate specified Dockerfile: Dockerfile" });
  writeFileSync(join(root, "dockerfile"), "FROM a");
  assert.equal(readDockerfile(root).text, "FROM a");
  mkdirSync(join(root, "sub"));
  writeFileSync(join(root, "sub/Other"), "FROM b");
  writeFileSync(join(root, ".dockerignore"), "one\ntwo");
  assert.deepEqual(readDockerfile(root, "sub/Other"), { text: "FROM b", name: "sub/Other", ignore: ["one", "two"] });
  writeFileSync(join(root, "sub/Other.dockerignore"), "three");
  assert.deepEqual(readDockerfile(root, "./sub/../sub/Other").ignore, ["three"]);
  writeFileSync(join(root, "empty"), " \n");
  assert.throws(() => readDockerfile(root, "empty"), { message: "the Dockerfile (empty) cannot be empty" });
  symlinkSync("/etc/passwd", join(root, "out"));
  symlinkSync("sub/Other", join(root, "in"));
  assert.throws(() => readDockerfile(root, "out"), /Cannot locate/);
  assert.throws(() => readDockerfile(root, "../../../../etc/passwd"), /Cannot locate/);
  assert.equal(readDockerfile(root, "in").text, "FROM b");
  execFileSync("mkfifo", [join(root, "pipe")]);
  assert.throws(() => readDockerfile(root, "pipe"), { kind: "invalid" });
  assert.throws(() => readDockerfile(root, "sub"), { kind: "invalid" });
});
