/** A cache before a real registry that fails as registries do. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { errorCodes } from "../../testing/registry-answers.ts";
import type { RegistryOptions } from "../registry.ts";

type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

let origin: TestRegistry;
let door: Server;
let port: number;
/** Requests that reached the upstream: "GET /v2/…". */
let asked: string[];
/** Answers in place of the upstream where it returns true. */
let fault: Fault;

const listen = (at: number) =>
  new Promise<number>((resolve) => {
    door = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      if (!fault(request, response)) void origin.registry.handle(request, response);
    }).listen(at, "127.0.0.1", () => resolve((door.address() as AddressInfo).port));
  });

async function goAway(): Promise<void> {
  door.closeAllConnections();
  await new Promise((resolve) => door.close(resolve));
}

beforeEach(async () => {
  asked = [];
  fault = () => false;
  origin = await startRegistry();
  port = await listen(0);
});
afterEach(async () => {
  door.closeAllConnections();
  door.close();
  await origin[Symbol.asyncDispose]();
});

const startCache = (more: Omit<RegistryOptions, "root"> = {}, ttl = 0) =>
  startRegistry({ upstreams: [{ prefix: "up.example", url: `http://127.0.0.1:${port}`, ttl }], ...more });
const blobsAsked = () => asked.filter((line) => /^GET .*\/blobs\//.test(line)).length;

async function pull(cache: TestRegistry, name: string, { digest }: Descriptor, content: string): Promise<void> {
  const manifest = await cache.fetch("GET", `/v2/${name}/manifests/${digest}`);
  assert.equal(manifest.status, 200);
  const { layers } = (await manifest.json()) as { layers: Descriptor[] };
  const blob = await cache.fetch("GET", `/v2/${name}/blobs/${layers[0]?.digest}`);
  assert.equal(blob.status, 200);
  assert.equal(await blob.text(), content);
}

describe("a pull through the cache", () => {
  test("fetches what is missing, once, and keeps it", async () => {
    await using cache = await startCache();
    const image = await origin.pushImage("team/app", "v1", "layer");
    const byTag = await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1");
    assert.equal(byTag.headers.get("docker-content-digest"), image.digest);
    assert.equal(byTag.headers.get("content-type"), MEDIA.ociManifest);
    for (let i = 0; i < 3; i++) await pull(cache, "up.example/team/app", image, "layer");
    assert.equal(blobsAsked(), 1);
    await goAway();
    await pull(cache, "up.example/team/app", image, "layer");
  });

  test("answers HEAD without fetching a blob", async () => {
    await using cache = await startCache();
    const { digest } = await origin.pushBlob("team/app", "12345");
    const answer = await cache.fetch("HEAD", `/v2/up.example/team/app/blobs/${digest}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-length"), "5");
    assert.equal(blobsAsked(), 0);
  });

  test("shares one download among all who want it at the same time", async () => {
    await using cache = await startCache();
    const data = randomBytes(3_000_000).toString("base64");
    const { digest } = await origin.pushBlob("team/app", data);
    const texts = await Promise.all(
      Array.from({ length: 20 }, async () =>
        (await cache.fetch("GET", `/v2/up.example/team/app/blobs/${digest}`)).text(),
      ),
    );
    assert.ok(texts.every((text) => text === data));
    assert.equal(blobsAsked(), 1);
  });

  test("sends bytes while they arrive", async () => {
    await using cache = await startCache();
    const data = randomBytes(2_000_000);
    const { digest } = await origin.pushBlob("team/app", data);
    let release = () => {};
    fault = (request, response) => {
      if (request.method !== "GET" || !request.url?.includes("/blobs/")) return false;
      response.writeHead(200, { "Content-Length": data.length });
      response.write(data.subarray(0, 1_000_000));
      release = () => void response.end(data.subarray(1_000_000));
      return true;
    };
    const answer = await cache.fetch("GET", `/v2/up.example/team/app/blobs/${digest}`);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    let came = 0;
    while (came < 1_000_000) came += (await reader.read()).value?.length ?? 0;
    release();
    for (let part = await reader.read(); !part.done; part = await reader.read()) came += part.value.length;
    assert.equal(came, data.length);
  });

  test("goes on where the upstream's connection broke", async () => {
    await using cache = await startCache();
    const data = randomBytes(2_000_000).toString("base64");
    const { digest } = await origin.pushBlob("team/app", data);
    let broken = 0;
    fault = (request, response) => {
      if (request.method !== "GET" || !request.url?.includes("/blobs/") || broken++ > 0) return false;
      response.writeHead(200, { "Content-Length": data.length });
      response.write(data.slice(0, 500_000), () => setTimeout(() => response.destroy(), 50));
      return true;
    };
    assert.equal(await (await cache.fetch("GET", `/v2/up.example/team/app/blobs/${digest}`)).text(), data);
    assert.ok(broken > 1);
  });

  test("serves a range of what is only arriving", async () => {
    await using cache = await startCache();
    const data = randomBytes(1_000_000).toString("base64");
    const { digest } = await origin.pushBlob("team/app", data);
    const headers = { Range: "bytes=900000-900009" };
    const answer = await cache.fetch("GET", `/v2/up.example/team/app/blobs/${digest}`, { headers });
    assert.equal(answer.status, 206);
    assert.equal(await answer.text(), data.slice(900_000, 900_010));
  });

  test("never finishes a blob that is not what was asked for, and keeps nothing of it", async () => {
    await using cache = await startCache();
    const { digest } = await origin.pushBlob("team/app", "the right bytes");
    fault = (request, response) => {
      if (request.method !== "GET" || !request.url?.includes("/blobs/")) return false;
      response.writeHead(200, { "Content-Length": 15 }).end("the wrong bytes");
      return true;
    };
    const answer = cache.fetch("GET", `/v2/up.example/team/app/blobs/${digest}`);
    await assert.rejects(answer.then((found) => found.text()));
    assert.deepEqual(readdirSync(join(cache.root, "uploads")), []);
    fault = () => false;
    assert.equal(await (await cache.fetch("GET", `/v2/up.example/team/app/blobs/${digest}`)).text(), "the right bytes");
  });

  test("gives a download up when all who wanted it are gone, leaving nothing", async () => {
    await using cache = await startCache();
    const { digest } = await origin.pushBlob("team/app", "x".repeat(1_000_000));
    const closed = Promise.withResolvers<void>();
    fault = (request, response) => {
      if (request.method !== "GET" || !request.url?.includes("/blobs/")) return false;
      response.writeHead(200, { "Content-Length": 1_000_000 }).write("x".repeat(1000));
      response.once("close", closed.resolve);
      return true;
    };
    const gone = new AbortController();
    const path = `/v2/up.example/team/app/blobs/${digest}`;
    const answer = await cache.fetch("GET", path, { signal: gone.signal });
    gone.abort();
    await assert.rejects(answer.text());
    await closed.promise;
    while (readdirSync(join(cache.root, "uploads")).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    fault = () => false;
    assert.equal((await (await cache.fetch("GET", path)).text()).length, 1_000_000);
  });

  test("takes a blob that another repository has without a download, if the upstream's has it too", async () => {
    await using cache = await startCache();
    const { digest } = await cache.pushBlob("own/app", "shared");
    const path = `/v2/up.example/team/app/blobs/${digest}`;
    assert.equal((await cache.fetch("GET", path)).status, 404);
    await origin.pushBlob("team/app", "shared");
    assert.equal(await (await cache.fetch("GET", path)).text(), "shared");
    assert.equal(blobsAsked(), 0);
  });
});

describe("tags", () => {
  const digestOf = async (cache: TestRegistry) =>
    (await cache.fetch("HEAD", "/v2/up.example/team/app/manifests/v1")).headers.get("docker-content-digest");

  test("are asked for again when they are old, and only then", async () => {
    await using eager = await startCache();
    await using lazy = await startCache({}, 60_000);
    const first = await origin.pushImage("team/app", "v1", "first");
    for (const cache of [eager, lazy]) assert.equal(await digestOf(cache), first.digest);
    const second = await origin.pushImage("team/app", "v1", "second");
    assert.equal(await digestOf(eager), second.digest);
    assert.equal(await digestOf(lazy), first.digest);
  });

  test("that did not change cost the upstream a HEAD", async () => {
    await using cache = await startCache();
    await origin.pushImage("team/app", "v1", "x");
    await digestOf(cache);
    asked = [];
    await digestOf(cache);
    assert.deepEqual(asked, ["HEAD /v2/team/app/manifests/v1"]);
  });

  test("are served with a warning while the upstream is away, and anew when it is back", async () => {
    await using cache = await startCache();
    const first = await origin.pushImage("team/app", "v1", "first");
    await digestOf(cache);
    await goAway();
    const stale = await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1");
    assert.equal(stale.headers.get("docker-content-digest"), first.digest);
    assert.match(
      stale.headers.get("warning") ?? "",
      /^299 - "http:\/\/127\.0\.0\.1:\d+ does not answer: v1 may have changed/,
    );
    const unknown = await cache.fetch("GET", "/v2/up.example/team/app/manifests/v2");
    assert.equal(unknown.status, 503);
    assert.deepEqual(await errorCodes(unknown), ["UNAVAILABLE"]);
    assert.ok(Number(unknown.headers.get("retry-after")) > 0);
    await listen(port);
    const second = await origin.pushImage("team/app", "v1", "second");
    await cache.fetch("GET", "/v2/up.example/team/app/manifests/v2");
    assert.equal(await digestOf(cache), second.digest);
  });

  for (const status of [500, 502, 503, 429])
    test(`are served as they were while the upstream answers ${status}`, async () => {
      await using cache = await startCache();
      const { digest } = await origin.pushImage("team/app", "v1", "x");
      await digestOf(cache);
      fault = (_request, response) => void response.writeHead(status, { "Retry-After": "0" }).end() === undefined;
      assert.equal(await digestOf(cache), digest);
    });

  test("that the upstream deleted are gone here too, and other digests stay", async () => {
    await using cache = await startCache();
    const { digest } = await origin.pushImage("team/app", "v1", "x");
    await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1");
    await origin.fetch("DELETE", "/v2/team/app/manifests/v1");
    assert.equal((await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1")).status, 404);
    assert.equal((await cache.fetch("GET", `/v2/up.example/team/app/manifests/${digest}`)).status, 200);
  });

  test("are refused with 403 when the upstream refuses", async () => {
    await using cache = await startCache();
    fault = (_request, response) => void response.writeHead(403).end() === undefined;
    const answer = await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1");
    assert.equal(answer.status, 403);
    assert.deepEqual(await errorCodes(answer), ["DENIED"]);
  });

  test("are listed as the upstream has them; as the cache has them while it is away", async () => {
    await using cache = await startCache();
    for (const tag of ["v2", "v1"]) await origin.pushImage("team/app", tag, tag);
    await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1");
    const list = async () => (await cache.fetch("GET", "/v2/up.example/team/app/tags/list")).json();
    assert.deepEqual(await list(), { name: "up.example/team/app", tags: ["v1", "v2"] });
    await goAway();
    assert.deepEqual(await list(), { name: "up.example/team/app", tags: ["v1"] });
  });
});

describe("upstreams by prefix", () => {
  test("has the upstream's referrers, filtered, and while it is away those that were pulled", async () => {
    await using cache = await startCache();
    const image = await origin.pushImage("team/app", "v1", "x");
    const about = (artifactType: string) => ({ subject: image, artifactType, annotations: { kind: artifactType } });
    const first = await origin.pushImage("team/app", undefined, "signature", about("a/signature"));
    const second = await origin.pushImage("team/app", undefined, "sbom", about("a/sbom"));
    const list = async (query = "") => {
      const answer = await cache.fetch("GET", `/v2/up.example/team/app/referrers/${image.digest}${query}`);
      assert.equal(answer.status, 200);
      return ((await answer.json()) as { manifests: Descriptor[] }).manifests;
    };
    assert.deepEqual(
      (await list()).map(({ digest }) => digest),
      [first.digest, second.digest].toSorted(),
    );
    const [signature] = await list("?artifactType=a/signature");
    assert.deepEqual([signature?.digest, signature?.annotations], [first.digest, { kind: "a/signature" }]);
    await pull(cache, "up.example/team/app", second, "sbom");
    await goAway();
    assert.deepEqual(
      (await list()).map(({ digest }) => digest),
      [second.digest],
    );
  });

  test("has the referrers of an upstream that keeps them under a tag", async () => {
    await using cache = await startCache();
    const image = await origin.pushImage("team/app", "v1", "x");
    const signature = await origin.pushImage("team/app", undefined, "signature");
    const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [{ ...signature, artifactType: "a/s" }] };
    await origin.pushManifest("team/app", index, image.digest.replace(":", "-"));
    fault = (request, response) => {
      if (!request.url?.includes("/referrers/")) return false;
      response.writeHead(404).end();
      return true;
    };
    const answer = await cache.fetch("GET", `/v2/up.example/team/app/referrers/${image.digest}`);
    assert.deepEqual(((await answer.json()) as { manifests: unknown }).manifests, [
      { ...signature, artifactType: "a/s" },
    ]);
  });

  test("the longest prefix decides; other repositories are the cache's own", async () => {
    await using inner = await startRegistry();
    const upstreams = [
      { prefix: "mirror", url: `http://127.0.0.1:${port}` },
      { prefix: "mirror/inner", url: inner.url },
    ];
    await using cache = await startRegistry({ upstreams });
    const outerImage = await origin.pushImage("app", "v1", "outer");
    const innerImage = await inner.pushImage("app", "v1", "inner");
    await pull(cache, "mirror/app", outerImage, "outer");
    await pull(cache, "mirror/inner/app", innerImage, "inner");
    await cache.pushImage("mirrors/app", "v1", "own");
    assert.equal((await cache.fetch("GET", "/v2/mirrors/app/manifests/v1")).status, 200);
    const push = await cache.fetch("POST", "/v2/mirror/app/blobs/uploads/");
    assert.equal(push.status, 405);
    assert.deepEqual(await errorCodes(push), ["UNSUPPORTED"]);
  });

  test("an empty prefix makes a mirror of everything", async () => {
    await using cache = await startRegistry({ upstreams: [{ prefix: "", url: `http://127.0.0.1:${port}` }] });
    await pull(cache, "team/app", await origin.pushImage("team/app", "v1", "x"), "x");
  });

  test("a client may name the registry it means by ns, and is told so", async () => {
    await using cache = await startCache();
    const { digest } = await origin.pushImage("team/app", "v1", "x");
    const answer = await cache.fetch("GET", "/v2/team/app/manifests/v1?ns=up.example");
    assert.equal(answer.headers.get("docker-content-digest"), digest);
    assert.equal(answer.headers.get("oci-namespace"), "up.example");
    assert.equal((await cache.fetch("GET", "/v2/team/app/manifests/v1?ns=other")).status, 404);
  });

  test("a reader of the same root serves what is cached, and asks nobody", async () => {
    await using cache = await startCache();
    const image = await origin.pushImage("team/app", "v1", "x");
    await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1");
    await pull(cache, "up.example/team/app", image, "x");
    await using reader = await startCache({ readOnly: true, root: cache.root } as never);
    asked = [];
    await pull(reader, "up.example/team/app", image, "x");
    assert.deepEqual(asked, []);
  });

  test("what nobody pulls any more goes by retention, and comes back by the next pull", async () => {
    await using cache = await startCache({ retention: [{ repositories: [/^up\.example\/.*$/], unusedFor: 0 }] });
    const image = await origin.pushImage("team/app", "v1", "x");
    await cache.fetch("GET", "/v2/up.example/team/app/manifests/v1");
    await pull(cache, "up.example/team/app", image, "x");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { tags, blobs } = await cache.registry.collect({ grace: 0 });
    assert.deepEqual([tags, blobs], [1, 2]);
    await pull(cache, "up.example/team/app", image, "x");
  });
});
