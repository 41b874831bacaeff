/** The distribution specification's requirements on pushing manifests: one test each. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { errorCodes } from "../../testing/registry-answers.ts";

let registry: TestRegistry;
let config: Descriptor;
let layer: Descriptor;
before(async () => {
  registry = await startRegistry();
  config = { ...(await registry.pushBlob(NAME, "{}")), mediaType: MEDIA.ociConfig };
  layer = await registry.pushBlob(NAME, "layer");
});
after(() => registry[Symbol.asyncDispose]());

const NAME = "push/manifests";
const image = (more: object = {}) => ({
  schemaVersion: 2,
  mediaType: MEDIA.ociManifest as string,
  config,
  layers: [layer],
  ...more,
});

function put(reference: string, body: string | object, type: string = MEDIA.ociManifest): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return registry.fetch("PUT", `/v2/${NAME}/manifests/${reference}`, {
    // Bytes, so that fetch() says no type of its own.
    body: Buffer.from(text),
    ...(type !== "" && { headers: { "Content-Type": type } }),
  });
}

describe("a manifest", () => {
  test("pushed by tag is answered with 201, a pullable location and its digest", async () => {
    const answer = await put("by-tag", image());
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get("docker-content-digest"), digestOf(JSON.stringify(image())));
    assert.equal((await registry.fetch("GET", answer.headers.get("location") ?? "")).status, 200);
  });

  test("is kept byte by byte", async () => {
    const bytes = `  ${JSON.stringify(image({ zebra: [1.0, "ü"] }), null, 3)}\n\n`;
    const answer = await put("bytes", bytes);
    assert.equal(answer.headers.get("docker-content-digest"), digestOf(bytes));
    assert.equal(await (await registry.fetch("GET", `/v2/${NAME}/manifests/bytes`)).text(), bytes);
  });

  for (const algorithm of ["sha256", "sha512"])
    test(`pushed by its ${algorithm} digest is answered with that digest`, async () => {
      const body = JSON.stringify(image({ annotations: { algorithm } }));
      const digest = `${algorithm}:${createHash(algorithm).update(body).digest("hex")}`;
      const answer = await put(digest, body);
      assert.equal(answer.status, 201);
      assert.equal(answer.headers.get("docker-content-digest"), digest);
      assert.equal(await (await registry.fetch("GET", `/v2/${NAME}/manifests/${digest}`)).text(), body);
    });

  test("pushed by another digest than its own is refused with 400 DIGEST_INVALID", async () => {
    const answer = await put(digestOf("else"), image());
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
  });

  test("pushed again moves the tag", async () => {
    const first = await put("moves", image({ annotations: { v: "1" } }));
    const second = await put("moves", image({ annotations: { v: "2" } }));
    const now = (await registry.fetch("HEAD", `/v2/${NAME}/manifests/moves`)).headers.get("docker-content-digest");
    assert.equal(now, second.headers.get("docker-content-digest"));
    const old = first.headers.get("docker-content-digest");
    assert.equal((await registry.fetch("HEAD", `/v2/${NAME}/manifests/${old}`)).status, 200);
  });

  test("may have no layers", async () => {
    assert.equal((await put("empty", image({ layers: [] }))).status, 201);
  });

  for (const tag of [".dot", "-dash", "sp%20ace", "x".repeat(129), "%C3%A4"])
    test(`is not pushed under the tag ${tag.slice(0, 20)}: 400`, async () => {
      const answer = await put(tag, image());
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), ["MANIFEST_INVALID"]);
    });

  test("whose blobs the repository lacks is refused with MANIFEST_BLOB_UNKNOWN, naming them", async () => {
    const missing = { ...layer, digest: digestOf("missing") };
    const answer = await put("lacking", image({ layers: [layer, missing] }));
    assert.equal(answer.status, 400);
    const { errors } = (await answer.json()) as { errors: { code: string; detail: unknown }[] };
    assert.equal(errors[0]?.code, "MANIFEST_BLOB_UNKNOWN");
    assert.deepEqual(errors[0]?.detail, [{ digest: missing.digest }]);
    assert.equal((await registry.fetch("HEAD", `/v2/${NAME}/manifests/lacking`)).status, 404);
  });

  test("whose blobs are only in another repository is refused", async () => {
    const elsewhere = await registry.pushBlob("push/elsewhere", "elsewhere");
    assert.equal((await put("elsewhere", image({ layers: [elsewhere] }))).status, 400);
  });

  for (const mediaType of [
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
  ])
    test(`may have a layer that is not to be distributed: ${mediaType}`, async () => {
      const foreign = { ...layer, mediaType, digest: digestOf(mediaType), urls: ["https://example.com/layer"] };
      assert.equal((await put("foreign", image({ layers: [foreign, layer] }))).status, 201);
    });

  test("of 4 MB is accepted, one over the limit is refused with 413", async () => {
    const of = (bytes: number) => JSON.stringify(image({ annotations: { x: "x".repeat(bytes - 1000) } }));
    assert.equal((await put("large", of(4_000_000))).status, 201);
    const answer = await put("larger", of(4_200_000));
    assert.equal(answer.status, 413);
    assert.deepEqual(await errorCodes(answer), ["MANIFEST_INVALID"]);
  });
});

describe("kinds of manifests", () => {
  test("an index is accepted when the repository has its manifests", async () => {
    const one = await registry.pushManifest(NAME, image({ annotations: { one: "1" } }));
    const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [one] };
    assert.equal((await put("index", index, MEDIA.ociIndex)).status, 201);
    const unknown = { ...index, manifests: [one, { ...one, digest: digestOf("unknown") }] };
    const answer = await put("index2", unknown, MEDIA.ociIndex);
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["MANIFEST_BLOB_UNKNOWN"]);
  });

  test("an index of an index is accepted", async () => {
    const inner = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [] };
    const one = await registry.pushManifest(NAME, inner);
    assert.equal((await put("outer", { ...inner, manifests: [one] }, MEDIA.ociIndex)).status, 201);
  });

  test("Docker's manifests and lists are accepted", async () => {
    const docker = image({ mediaType: MEDIA.dockerManifest, config: { ...config, mediaType: MEDIA.dockerConfig } });
    const one = await registry.pushManifest(NAME, docker);
    const platform = { os: "linux", architecture: "amd64" };
    const list = { schemaVersion: 2, mediaType: MEDIA.dockerList, manifests: [{ ...one, platform }] };
    assert.equal((await put("list", list, MEDIA.dockerList)).status, 201);
    const answer = await registry.fetch("HEAD", `/v2/${NAME}/manifests/list`);
    assert.equal(answer.headers.get("content-type"), MEDIA.dockerList);
  });

  test("an artifact with the empty configuration is accepted", async () => {
    const empty = { mediaType: MEDIA.ociEmpty, digest: config.digest, size: 2 };
    const artifact = image({ artifactType: "application/vnd.example", config: empty, layers: [empty] });
    assert.equal((await put("artifact", artifact)).status, 201);
  });

  test("a manifest that does not say its type is taken for what it was sent as, or looks like", async () => {
    const { mediaType: _, ...bare } = image();
    assert.equal((await put("bare", bare, MEDIA.ociManifest)).status, 201);
    assert.equal((await put("barer", { schemaVersion: 2, manifests: [] }, "")).status, 201);
    const answer = await registry.fetch("HEAD", `/v2/${NAME}/manifests/barer`);
    assert.equal(answer.headers.get("content-type"), MEDIA.ociIndex);
  });

  const wrong: readonly (readonly [what: string, body: string | object, type?: string])[] = [
    ["that is not JSON", "{"],
    ["that is no object", "[]"],
    ["of schema version 1", { schemaVersion: 1, name: "x" }, "application/vnd.docker.distribution.manifest.v1+json"],
    ["of an unknown kind", { schemaVersion: 2, mediaType: "text/plain" }, "text/plain"],
    ["called __proto__", { schemaVersion: 2, mediaType: "__proto__" }, "__proto__"],
    ["that was sent as something else", image(), MEDIA.ociIndex],
    ["without a configuration", { schemaVersion: 2, mediaType: MEDIA.ociManifest, layers: [] }],
    ["whose layers are no list", image({ layers: {} })],
    ["whose layer has no digest", image({ layers: [{ size: 1 }] })],
    ["whose layer has a broken digest", image({ layers: [{ size: 1, digest: "sha256:x" }] })],
    ["whose layer has a negative size", image({ layers: [{ size: -1, digest: digestOf("x") }] })],
    ["whose subject is no descriptor", image({ subject: "x" })],
    ["whose annotations are numbers", image({ annotations: { a: 1 } })],
    ["that is not UTF-8", "\uD800"],
  ];
  for (const [what, body, type] of wrong)
    test(`a manifest ${what} is refused with 400 MANIFEST_INVALID`, async () => {
      const answer = await put("wrong", body, type);
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), ["MANIFEST_INVALID"]);
    });
});

describe("a manifest with a subject", () => {
  const subject = () => ({ mediaType: MEDIA.ociManifest, digest: digestOf("not there yet"), size: 1 });

  test("is accepted before its subject, and answered with OCI-Subject", async () => {
    const answer = await put("signature", image({ subject: subject() }));
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get("oci-subject"), subject().digest);
  });

  test("may be an index", async () => {
    const index = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [], subject: subject() };
    assert.equal((await put("index-about", index, MEDIA.ociIndex)).headers.get("oci-subject"), subject().digest);
  });

  test("without one there is no OCI-Subject", async () => {
    assert.equal((await put("plain", image())).headers.get("oci-subject"), null);
  });
});

describe("tags with a push by digest", () => {
  const path = (tags: readonly string[]) =>
    `${digestOf(JSON.stringify(image()))}?${tags.map((tag) => `tag=${tag}`).join("&")}`;

  test("ten tags are set, and named by OCI-Tag", async () => {
    const tags = Array.from({ length: 10 }, (_, i) => `t${i}`);
    const answer = await put(path(tags), image());
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.headers.get("oci-tag")?.split(", "), tags);
    for (const tag of tags) assert.equal((await registry.fetch("HEAD", `/v2/${NAME}/manifests/${tag}`)).status, 200);
  });

  test("too many are refused with 414, and a bad one sets none", async () => {
    assert.equal((await put(path(Array.from({ length: 200 }, (_, i) => `u${i}`)), image())).status, 414);
    assert.equal((await put(path(["good", "-bad"]), image())).status, 400);
    assert.equal((await registry.fetch("HEAD", `/v2/${NAME}/manifests/good`)).status, 404);
  });
});

describe("conditions", () => {
  const conditional = (reference: string, body: object, headers: Record<string, string>) =>
    registry.fetch("PUT", `/v2/${NAME}/manifests/${reference}`, {
      body: JSON.stringify(body),
      headers: { "Content-Type": MEDIA.ociManifest, ...headers },
    });

  test("a tag is made only if it is new, with If-None-Match: *", async () => {
    assert.equal((await conditional("only-new", image(), { "If-None-Match": "*" })).status, 201);
    assert.equal((await conditional("only-new", image(), { "If-None-Match": "*" })).status, 412);
  });

  test("a tag is moved only from what the client saw, with If-Match", async () => {
    const first = await conditional("guarded", image(), {});
    const etag = `"${first.headers.get("docker-content-digest")}"`;
    const next = image({ annotations: { next: "1" } });
    assert.equal((await conditional("guarded", next, { "If-Match": `"${digestOf("other")}"` })).status, 412);
    assert.equal((await conditional("guarded", next, { "If-Match": etag })).status, 201);
    assert.equal((await conditional("guarded", image(), { "If-Match": etag })).status, 412);
  });
});
