/** Sending blobs to a registry that the test controls. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { refuse, ScriptedRegistry } from "../testing/scripted-registry.ts";
import { openRemote, REMOTE_DEFAULTS } from "./open.ts";
import type { BlobSource } from "./remote.ts";

const SMALL = randomBytes(70_000);
/** More than goes in one piece. */
const LARGE = randomBytes(20 << 20);

function sourceOf(bytes: Buffer): BlobSource {
  const open = (start: number, end: number) =>
    Readable.from(
      (function* () {
        for (let at = start; at < end; at += 1 << 18) yield bytes.subarray(at, Math.min(end, at + (1 << 18)));
      })(),
      { objectMode: false },
    );
  return { digest: digestOf(bytes), size: bytes.length, open };
}

async function setUp(t: TestContext) {
  const registry = await ScriptedRegistry.start();
  const remote = openRemote({ settings: { ...REMOTE_DEFAULTS, maxDownloadAttempts: 3 } });
  t.after(async () => {
    await remote.close();
    await registry[Symbol.asyncDispose]();
  });
  const repository = remote.repository({ domain: registry.host, path: "team/app" }, { access: "push" });
  const asked = () => registry.seen.map(({ method }) => method).join(" ");
  return { registry, repository, asked };
}

test("a small blob goes in one piece, a large one can be gone on with, one that is there not at all", async (t) => {
  const { registry, repository, asked } = await setUp(t);
  const progress: number[] = [];
  assert.deepEqual(await repository.send(sourceOf(SMALL), { onProgress: (bytes) => progress.push(bytes) }), {
    how: "sent",
  });
  assert.deepEqual([asked(), progress.at(-1)], ["HEAD POST PUT", SMALL.length]);
  registry.seen.length = 0;
  await repository.send(sourceOf(LARGE));
  assert.equal(asked(), "HEAD POST PATCH PUT");
  assert.ok(registry.blobs.get(digestOf(LARGE))?.equals(LARGE));
  registry.seen.length = 0;
  assert.deepEqual(await repository.send(sourceOf(SMALL)), { how: "exists" });
  assert.equal(asked(), "HEAD");
});

test("an empty blob", async (t) => {
  const { registry, repository } = await setUp(t);
  await repository.send(sourceOf(Buffer.alloc(0)));
  assert.equal(registry.blobs.get(digestOf(""))?.length, 0);
});

test("an upload that is cut goes on from where the registry got to", async (t) => {
  const { registry, repository } = await setUp(t);
  registry.cuts = [5 << 20, 5 << 20];
  await repository.send(sourceOf(LARGE));
  assert.ok(registry.blobs.get(digestOf(LARGE))?.equals(LARGE));
  const ranges = registry.seen
    .filter(({ method }) => method === "PATCH")
    .map(({ headers }) => headers["content-range"]);
  assert.equal(ranges.length, 3);
  assert.ok(Number(ranges[2]?.split("-")[0]) > Number(ranges[1]?.split("-")[0]), ranges.join(" "));
});

test("an upload that the registry forgot begins again", async (t) => {
  const { registry, repository } = await setUp(t);
  registry.cuts = [1 << 20];
  registry.intercept = ({ method }) => {
    if (method === "GET") registry.uploads.clear();
    return false;
  };
  await repository.send(sourceOf(LARGE));
  assert.equal(registry.count("POST", /uploads/), 2);
});

test("a registry that takes no pieces gets the whole, one that takes no large ones gets small ones", async (t) => {
  const { registry, repository } = await setUp(t);
  registry.intercept = (request, response) => {
    if (request.method !== "PATCH") return false;
    request.resume();
    refuse(response, 405, "UNSUPPORTED");
    return true;
  };
  await repository.send(sourceOf(LARGE));
  assert.ok(registry.blobs.delete(digestOf(LARGE)));
  registry.intercept = (request, response) => {
    if (Number(request.headers["content-length"] ?? 0) <= 8 << 20) return false;
    request.resume();
    refuse(response, 413, "SIZE_INVALID");
    return true;
  };
  await repository.send(sourceOf(LARGE));
  assert.ok(registry.blobs.has(digestOf(LARGE)));
});

test("a blob of another repository is mounted; where that is refused it is sent", async (t) => {
  const { registry, repository, asked } = await setUp(t);
  const intercept = (request: IncomingMessage) => request.method === "HEAD";
  registry.addBlob(SMALL);
  registry.intercept = (request, response) => {
    if (intercept(request)) response.writeHead(404).end();
    return intercept(request);
  };
  const mounted = await repository.send(sourceOf(SMALL), { mountFrom: ["other/app"] });
  assert.deepEqual([mounted, asked()], [{ how: "mounted", from: "other/app" }, "HEAD POST"]);
  registry.seen.length = 0;
  registry.blobs.clear();
  assert.deepEqual(await repository.send(sourceOf(SMALL), { mountFrom: ["other/app"] }), { how: "sent" });
  assert.equal(asked(), "HEAD POST PUT", "the upload that the mount began is used");
});

test("a blob that the registry takes for another one is an error at once", async (t) => {
  const { registry, repository } = await setUp(t);
  const wrong = { ...sourceOf(SMALL), digest: digestOf("other") };
  await assert.rejects(repository.send(wrong), { kind: "invalid", message: /digest invalid/ });
  assert.equal(registry.count("PUT", /uploads/), 1);
});

test("a storage elsewhere is not shown the token", async (t) => {
  const storage = await ScriptedRegistry.start();
  t.after(() => storage[Symbol.asyncDispose]());
  const { registry, repository } = await setUp(t);
  registry.intercept = ({ method, headers }, response) => {
    if (headers.authorization === undefined && method === "HEAD") {
      response.writeHead(401, { "WWW-Authenticate": `Bearer realm="http://${registry.host}/token"` }).end();
      return true;
    }
    if (method === "POST") response.writeHead(202, { Location: `http://${storage.host}/v2/x/blobs/uploads/u0` }).end();
    if (method === "GET") response.end(JSON.stringify({ token: "secret-token" }));
    return method === "POST" || method === "GET";
  };
  await repository.send(sourceOf(SMALL));
  assert.ok(registry.seen.some(({ headers }) => headers.authorization === "Bearer secret-token"));
  assert.deepEqual(
    storage.seen.map(({ headers }) => headers.authorization),
    [undefined],
  );
});

test("cancelling ends an upload that hangs", async (t) => {
  const { registry, repository } = await setUp(t);
  const asked = Promise.withResolvers<void>();
  registry.intercept = ({ method }) => {
    if (method === "PUT") asked.resolve();
    return method === "PUT";
  };
  const stop = new AbortController();
  const sending = repository.send(sourceOf(SMALL), { signal: stop.signal });
  await asked.promise;
  stop.abort();
  await assert.rejects(sending, { kind: "cancelled" });
});

test("manifests are stored as they are; a registry that understood another one is not believed", async (t) => {
  const { registry, repository } = await setUp(t);
  const bytes = Buffer.from('{"schemaVersion":2,  "layers":[]}');
  const manifest = {
    descriptor: {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: digestOf(bytes),
      size: bytes.length,
    },
    bytes,
  };
  await repository.putManifest({ tag: "1" }, manifest);
  assert.equal(await repository.hasManifest(digestOf(bytes)), true);
  assert.equal(await repository.hasManifest(digestOf("other")), false);
  registry.intercept = ({ method }, response) => {
    if (method === "PUT") response.writeHead(201, { "Docker-Content-Digest": digestOf("other") }).end();
    return method === "PUT";
  };
  await assert.rejects(repository.putManifest({ tag: "2" }, manifest), {
    kind: "invalid",
    message: /stored manifest .* as/,
  });
});
