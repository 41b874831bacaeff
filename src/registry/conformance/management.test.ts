/** The distribution specification's requirements on content management, and on errors: one test each. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { ImageIndex } from "../../oci/types.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { errorCodes } from "../../testing/registry-answers.ts";

let registry: TestRegistry;
before(async () => {
  registry = await startRegistry();
});
after(() => registry[Symbol.asyncDispose]());

const remove = (path: string) => registry.fetch("DELETE", path);
const statusOf = async (path: string) => (await registry.fetch("GET", path)).status;

describe("deleting", () => {
  test("a tag answers 202; it is gone then, and its manifest and other tags stay", async () => {
    const { digest } = await registry.pushImage("rm/tag", "one", "x");
    await registry.pushImage("rm/tag", "two", "x");
    assert.equal((await remove("/v2/rm/tag/manifests/one")).status, 202);
    assert.equal(await statusOf("/v2/rm/tag/manifests/one"), 404);
    assert.equal(await statusOf("/v2/rm/tag/manifests/two"), 200);
    assert.equal(await statusOf(`/v2/rm/tag/manifests/${digest}`), 200);
  });

  test("a manifest answers 202; it is gone then with all its tags", async () => {
    const { digest } = await registry.pushImage("rm/manifest", "one", "x");
    await registry.pushImage("rm/manifest", "two", "x");
    await registry.pushImage("rm/manifest", "other", "y");
    assert.equal((await remove(`/v2/rm/manifest/manifests/${digest}`)).status, 202);
    for (const reference of [digest, "one", "two"])
      assert.equal(await statusOf(`/v2/rm/manifest/manifests/${reference}`), 404);
    const list = await registry.fetch("GET", "/v2/rm/manifest/tags/list");
    assert.deepEqual(await list.json(), { name: "rm/manifest", tags: ["other"] });
  });

  test("a manifest that comes back does not bring its tags along", async () => {
    const { digest } = await registry.pushImage("rm/again", "old", "x");
    await remove(`/v2/rm/again/manifests/${digest}`);
    await registry.pushImage("rm/again", undefined, "x");
    assert.equal(await statusOf("/v2/rm/again/manifests/old"), 404);
  });

  test("a manifest takes it from the list of its subject's referrers", async () => {
    const subject = await registry.pushImage("rm/refer", "v1", "subject");
    const { digest } = await registry.pushImage("rm/refer", undefined, "signature", { subject });
    const list = async () => {
      const answer = await registry.fetch("GET", `/v2/rm/refer/referrers/${subject.digest}`);
      return ((await answer.json()) as ImageIndex).manifests.length;
    };
    assert.equal(await list(), 1);
    assert.equal((await remove(`/v2/rm/refer/manifests/${digest}`)).status, 202);
    assert.equal(await list(), 0);
  });

  test("a blob answers 202; it is gone then, and another repository keeps it", async () => {
    const { digest } = await registry.pushBlob("rm/blob", "blob");
    await registry.pushBlob("rm/blob2", "blob");
    assert.equal((await remove(`/v2/rm/blob/blobs/${digest}`)).status, 202);
    assert.equal(await statusOf(`/v2/rm/blob/blobs/${digest}`), 404);
    assert.equal(await statusOf(`/v2/rm/blob2/blobs/${digest}`), 200);
  });

  test("an index answers 202, and leaves what it lists", async () => {
    const child = await registry.pushImage("rm/index", undefined, "child");
    const document = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [child] };
    const index = await registry.pushManifest("rm/index", document, "all");
    assert.equal((await remove(`/v2/rm/index/manifests/${index.digest}`)).status, 202);
    assert.equal(await statusOf("/v2/rm/index/manifests/all"), 404);
    assert.equal(await statusOf(`/v2/rm/index/manifests/${child.digest}`), 200);
  });

  test("a manifest by its sha512 digest answers 202", async () => {
    const config = await registry.pushBlob("rm/sha512", "x");
    const body = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers: [] });
    const path = `/v2/rm/sha512/manifests/sha512:${createHash("sha512").update(body).digest("hex")}`;
    const headers = { "Content-Type": MEDIA.ociManifest };
    assert.equal((await registry.fetch("PUT", path, { body, headers })).status, 201);
    assert.equal((await remove(path)).status, 202);
    assert.equal(await statusOf(path), 404);
  });

  test("what was deleted can be pushed again", async () => {
    const { digest } = await registry.pushBlob("rm/again", "again");
    await remove(`/v2/rm/again/blobs/${digest}`);
    await registry.pushBlob("rm/again", "again");
    assert.equal(await statusOf(`/v2/rm/again/blobs/${digest}`), 200);
  });

  for (const [path, code] of [
    ["/v2/rm/tag/manifests/never", "MANIFEST_UNKNOWN"],
    [`/v2/rm/tag/manifests/${digestOf("never")}`, "MANIFEST_UNKNOWN"],
    [`/v2/rm/tag/blobs/${digestOf("never")}`, "BLOB_UNKNOWN"],
    ["/v2/rm/nowhere/manifests/x", "NAME_UNKNOWN"],
    [`/v2/rm/nowhere/manifests/${digestOf("never")}`, "NAME_UNKNOWN"],
  ] as const)
    test(`what is not there is answered with 404 ${code}: ${path.slice(0, 40)}`, async () => {
      await registry.pushImage("rm/tag", "one", "x");
      const answer = await remove(path);
      assert.equal(answer.status, 404);
      assert.deepEqual(await errorCodes(answer), [code]);
    });
});

describe("where it is disabled", () => {
  test("a registry that only reads answers changes with 405, and everything else as ever", async () => {
    const { digest } = await registry.pushImage("ro/image", "v1", "x");
    await using reader = await startRegistry({ root: registry.root, readOnly: true });
    assert.equal((await reader.fetch("GET", "/v2/ro/image/manifests/v1")).status, 200);
    for (const [method, path] of [
      ["DELETE", "/v2/ro/image/manifests/v1"],
      ["DELETE", `/v2/ro/image/manifests/${digest}`],
      ["DELETE", `/v2/ro/image/blobs/${digest}`],
      ["PUT", "/v2/ro/image/manifests/v2"],
      ["POST", "/v2/ro/image/blobs/uploads/"],
    ] as const) {
      const answer = await reader.fetch(method, path);
      assert.equal(answer.status, 405, `${method} ${path}`);
      assert.deepEqual(await errorCodes(answer), ["UNSUPPORTED"]);
    }
  });

  test("what the writer pushes and deletes the reader sees at once", async () => {
    await using reader = await startRegistry({ root: registry.root, readOnly: true });
    for (let i = 0; i < 20; i++) {
      await registry.pushImage("ro/seen", `v${i}`, `content ${i}`);
      assert.equal((await reader.fetch("GET", `/v2/ro/seen/manifests/v${i}`)).status, 200);
      await remove(`/v2/ro/seen/manifests/v${i}`);
      assert.equal((await reader.fetch("GET", `/v2/ro/seen/manifests/v${i}`)).status, 404);
    }
  });

  test("two writers are refused", async () => {
    await assert.rejects(startRegistry({ root: registry.root }), { kind: "conflict" });
  });
});

describe("errors", () => {
  test("a method that an endpoint does not have is answered with 405 and those it has", async () => {
    const answer = await registry.fetch("POST", "/v2/a/manifests/b");
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get("allow"), "GET, HEAD, PUT, DELETE");
    assert.deepEqual(await errorCodes(answer), ["UNSUPPORTED"]);
  });

  for (const path of ["/v2/a", "/v2/a/b/c", "/v1/search", "/v2/a/tags", "/v2//"])
    test(`${path} is no endpoint: 404`, async () => {
      assert.equal(await statusOf(path), 404);
    });

  test("a refusal reaches a client that is still sending, without reading all it sends", async () => {
    const body = new ReadableStream({
      pull: async (stream) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        stream.enqueue(Buffer.alloc(64 << 10));
      },
    });
    const headers = { "Content-Type": MEDIA.ociManifest };
    const outcome = await registry.fetch("PUT", "/v2/a/manifests/b", { body, headers }).then(
      ({ status }) => status,
      () => "reset",
    );
    assert.ok(outcome === 413 || outcome === "reset", String(outcome));
  });

  test("each refusal has the specification's form and one of its codes", async () => {
    const { digest } = await registry.pushBlob("err/or", "x");
    const upload = (await registry.fetch("POST", "/v2/err/or/blobs/uploads/")).headers.get("location") ?? "";
    const refusals: [string, string, Record<string, string>, number, string][] = [
      ["GET", `/v2/err/or/blobs/${digestOf("none")}`, {}, 404, "BLOB_UNKNOWN"],
      ["GET", "/v2/err/or/blobs/sha256:1", {}, 400, "DIGEST_INVALID"],
      ["PATCH", upload, { "Content-Range": "x" }, 400, "BLOB_UPLOAD_INVALID"],
      ["PATCH", upload, { "Content-Range": "5-9" }, 400, "SIZE_INVALID"],
      ["PUT", `${upload}?digest=${digest}x`, {}, 400, "DIGEST_INVALID"],
      ["GET", "/v2/err/or/blobs/uploads/none", {}, 404, "BLOB_UPLOAD_UNKNOWN"],
      ["GET", "/v2/err/or/manifests/none", {}, 404, "MANIFEST_UNKNOWN"],
      ["PUT", "/v2/err/or/manifests/x", { "Content-Type": MEDIA.ociManifest }, 400, "MANIFEST_INVALID"],
      ["GET", "/v2/ERR/manifests/x", {}, 400, "NAME_INVALID"],
      ["GET", "/v2/err/none/tags/list", {}, 404, "NAME_UNKNOWN"],
      ["DELETE", "/v2/err/or/tags/list", {}, 405, "UNSUPPORTED"],
    ];
    for (const [method, path, headers, status, code] of refusals) {
      const body = method.startsWith("P") ? "body" : undefined;
      const answer = await registry.fetch(method, path, { headers, ...(body !== undefined && { body }) });
      assert.equal(answer.status, status, `${method} ${path}`);
      assert.deepEqual(await errorCodes(answer), [code], `${method} ${path}`);
    }
  });
});
