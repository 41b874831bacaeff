/** The distribution specification's requirements on pulling: one test each. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { errorCodes } from "../../testing/registry-answers.ts";

let registry: TestRegistry;
let blob: Descriptor;
let image: Descriptor;
const content = "0123456789".repeat(1000);
const absent = digestOf("nowhere");

before(async () => {
  registry = await startRegistry();
  blob = await registry.pushBlob("pull/me", content);
  image = await registry.pushImage("pull/me", "v1", "layer");
});
after(() => registry[Symbol.asyncDispose]());

const get = (path: string, headers: Record<string, string> = {}) => registry.fetch("GET", path, { headers });
const head = (path: string) => registry.fetch("HEAD", path);

test("GET /v2/ answers 200, so that clients know what this is", async () => {
  for (const path of ["/v2/", "/v2"]) {
    const answer = await get(path);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("docker-distribution-api-version"), "registry/2.0");
  }
});

describe("pulling manifests", () => {
  for (const [what, reference] of [
    ["tag", () => "v1"],
    ["digest", () => image.digest],
  ] as const)
    test(`GET by ${what} gives the manifest with 200, its type, its digest and its length`, async () => {
      const answer = await get(`/v2/pull/me/manifests/${reference()}`);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("content-type"), MEDIA.ociManifest);
      assert.equal(answer.headers.get("docker-content-digest"), image.digest);
      assert.equal(answer.headers.get("content-length"), String(image.size));
      assert.equal(digestOf(await answer.text()), image.digest);
    });

  test("GET and HEAD by a sha512 digest give the manifest that was pushed with it", async () => {
    const bytes = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociManifest, config: blob, layers: [] });
    const digest = `sha512:${createHash("sha512").update(bytes).digest("hex")}`;
    const headers = { "Content-Type": MEDIA.ociManifest };
    await registry.fetch("PUT", `/v2/pull/me/manifests/${digest}?tag=by-sha512`, { body: bytes, headers });
    for (const reference of [digest, "by-sha512"]) {
      const answer = await get(`/v2/pull/me/manifests/${reference}`);
      assert.equal(answer.headers.get("docker-content-digest"), digest);
      assert.equal(await answer.text(), bytes);
      assert.equal((await head(`/v2/pull/me/manifests/${reference}`)).headers.get("docker-content-digest"), digest);
    }
  });

  test("of a repository that is not there is answered with 404", async () => {
    assert.equal((await get("/v2/not/there/manifests/latest")).status, 404);
    assert.equal((await get(`/v2/not/there/blobs/${absent}`)).status, 404);
  });

  test("what a client accepts chooses nothing: each reference is one manifest", async () => {
    for (const Accept of [MEDIA.dockerList, "application/json", "text/html", "*/*"])
      assert.equal((await get("/v2/pull/me/manifests/v1", { Accept })).headers.get("content-type"), MEDIA.ociManifest);
  });

  test("the type is the one the manifest was pushed with, without parameters", async () => {
    const config = { ...blob, mediaType: MEDIA.dockerConfig };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.dockerManifest, config, layers: [] });
    const headers = { "Content-Type": `${MEDIA.dockerManifest}; charset=utf-8` };
    const pushed = await registry.fetch("PUT", "/v2/pull/me/manifests/docker", { body, headers });
    assert.equal(pushed.status, 201);
    const answer = await get("/v2/pull/me/manifests/docker", { Accept: MEDIA.ociManifest });
    assert.equal(answer.headers.get("content-type"), MEDIA.dockerManifest);
  });

  for (const [what, path] of [
    ["tag", "/v2/pull/me/manifests/none"],
    ["digest", `/v2/pull/me/manifests/${absent}`],
    ["reference that is neither a tag nor a digest", "/v2/pull/me/manifests/.INVALID"],
    ["repository", "/v2/not/there/manifests/v1"],
  ] as const)
    test(`an unknown ${what} is answered with 404 MANIFEST_UNKNOWN, and HEAD with 404`, async () => {
      const answer = await get(path);
      assert.equal(answer.status, 404);
      assert.deepEqual(await errorCodes(answer), ["MANIFEST_UNKNOWN"]);
      assert.equal((await head(path)).status, 404);
    });

  test("a tag of 128 characters is found, one of 129 is not", async () => {
    const long = `T${"x".repeat(127)}`;
    await registry.pushImage("pull/me", long, "long");
    assert.equal((await get(`/v2/pull/me/manifests/${long}`)).status, 200);
    assert.equal((await get(`/v2/pull/me/manifests/${long}x`)).status, 404);
  });

  test("a manifest is no blob of its repository, and a blob no manifest", async () => {
    assert.equal((await get(`/v2/pull/me/blobs/${image.digest}`)).status, 404);
    assert.equal((await get(`/v2/pull/me/manifests/${blob.digest}`)).status, 404);
  });

  test("a client that has the manifest gets 304", async () => {
    const etag = (await head("/v2/pull/me/manifests/v1")).headers.get("etag") ?? "";
    assert.equal((await get("/v2/pull/me/manifests/v1", { "If-None-Match": etag })).status, 304);
    assert.equal((await get("/v2/pull/me/manifests/v1", { "If-None-Match": `"${absent}"` })).status, 200);
  });
});

describe("pulling blobs", () => {
  test("GET gives the blob with 200 and its digest", async () => {
    const answer = await get(`/v2/pull/me/blobs/${blob.digest}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("docker-content-digest"), blob.digest);
    assert.equal(answer.headers.get("content-length"), String(content.length));
    assert.equal(await answer.text(), content);
  });

  test("an escaped digest is the same digest", async () => {
    assert.equal((await get(`/v2/pull/me/blobs/${blob.digest.replace(":", "%3A")}`)).status, 200);
  });

  test("an empty blob is a blob", async () => {
    const { digest } = await registry.pushBlob("pull/me", "");
    const answer = await get(`/v2/pull/me/blobs/${digest}`);
    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), "");
  });

  test("a blob that the repository does not have is answered with 404 BLOB_UNKNOWN, though another has it", async () => {
    const answer = await get(`/v2/pull/other/blobs/${blob.digest}`);
    assert.equal(answer.status, 404);
    assert.deepEqual(await errorCodes(answer), ["BLOB_UNKNOWN"]);
  });

  const ranges: readonly (readonly [header: string, status: number, body: string, contentRange: string | null])[] = [
    ["bytes=0-3", 206, "0123", "bytes 0-3/10000"],
    ["bytes=9995-", 206, "56789", "bytes 9995-9999/10000"],
    ["bytes=-2", 206, "89", "bytes 9998-9999/10000"],
    ["bytes=-20000", 206, content, "bytes 0-9999/10000"],
    ["bytes=9998-20000", 206, "89", "bytes 9998-9999/10000"],
    ["bytes=10000-", 416, "", "bytes */10000"],
    ["bytes=20000-30000", 416, "", "bytes */10000"],
    ["bytes=-0", 416, "", "bytes */10000"],
    ["bytes=5-2", 200, content, null],
    ["bytes=x", 200, content, null],
    ["lines=0-3", 200, content, null],
    ["bytes=0-0,5-6", 200, content, null],
  ];
  for (const [header, status, body, contentRange] of ranges)
    test(`the range ${header} of 10000 bytes is answered with ${status} ${contentRange ?? "the whole"}`, async () => {
      const answer = await get(`/v2/pull/me/blobs/${blob.digest}`, { Range: header });
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get("content-range"), contentRange);
      assert.equal(await answer.text(), body);
    });

  test("a range of what the client had of something else is the whole", async () => {
    const answer = await get(`/v2/pull/me/blobs/${blob.digest}`, { Range: "bytes=0-3", "If-Range": `"${absent}"` });
    assert.equal(answer.status, 200);
    const same = await get(`/v2/pull/me/blobs/${blob.digest}`, { Range: "bytes=0-3", "If-Range": `"${blob.digest}"` });
    assert.equal(same.status, 206);
  });
});

describe("checking that something is there", () => {
  test("HEAD of a blob answers 200 with digest and length, without a body", async () => {
    const answer = await head(`/v2/pull/me/blobs/${blob.digest}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("docker-content-digest"), blob.digest);
    assert.equal(answer.headers.get("content-length"), String(content.length));
    assert.equal(await answer.text(), "");
  });

  for (const reference of ["v1", "digest"])
    test(`HEAD of a manifest by ${reference} answers 200 with digest and length`, async () => {
      const answer = await head(`/v2/pull/me/manifests/${reference === "v1" ? "v1" : image.digest}`);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("docker-content-digest"), image.digest);
      assert.equal(answer.headers.get("content-length"), String(image.size));
    });

  test("HEAD of a blob that is not there answers 404", async () => {
    assert.equal((await head(`/v2/pull/me/blobs/${absent}`)).status, 404);
  });
});

describe("names", () => {
  for (const name of ["a", "a/b/c/d", "a.b_c__d-e--f/0", "blobs/uploads", "manifests/tags/list", "x".repeat(255)])
    test(`a repository may be called ${name.slice(0, 30)}`, async () => {
      const { digest } = await registry.pushImage(name, "t", name);
      assert.equal((await head(`/v2/${name}/manifests/t`)).headers.get("docker-content-digest"), digest);
      assert.equal((await get(`/v2/${name}/tags/list`)).status, 200);
    });

  for (const name of [
    "A",
    "a//b",
    "-a",
    "a-",
    "a..b",
    "a___b",
    "a/../b",
    "%2e%2e/b",
    "a%00b",
    "a+b",
    "%C3%A4",
    "x".repeat(256),
  ])
    test(`a repository may not be called ${name.slice(0, 30)}: 400 NAME_INVALID`, async () => {
      const answer = await rawGet(`/v2/${name}/manifests/t`);
      assert.match(answer, /^HTTP\/1\.1 400 /);
      assert.match(answer, /"NAME_INVALID"/);
    });

  test("what is no proper escape is answered with 400", async () => {
    assert.match(await rawGet("/v2/%zz/manifests/t"), /^HTTP\/1\.1 400 /);
  });
});

/** As it is: fetch() would tidy the path up. */
async function rawGet(path: string): Promise<string> {
  const { connect } = await import("node:net");
  const socket = connect(Number(new URL(registry.url).port), "127.0.0.1");
  socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, "latin1");
  return Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString();
}
