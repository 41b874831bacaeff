/** The distribution specification's requirements on pushing blobs: one test each. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { errorCodes } from "../../testing/registry-answers.ts";

let registry: TestRegistry;
before(async () => {
  registry = await startRegistry();
});
after(() => registry[Symbol.asyncDispose]());

const NAME = "push/me";
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
const fresh = (size = 1000) => randomBytes(size).toString("base64").slice(0, size);
const sha512 = (data: string) => `sha512:${createHash("sha512").update(data).digest("hex")}`;

async function begin(name = NAME, query = ""): Promise<string> {
  const answer = await registry.fetch("POST", `/v2/${name}/blobs/uploads/${query}`);
  assert.equal(answer.status, 202);
  return answer.headers.get("location") ?? "";
}

const patch = (location: string, body: string, headers: Record<string, string> = {}) =>
  registry.fetch("PATCH", location, { body, headers: { "Content-Type": "application/octet-stream", ...headers } });
const put = (location: string, digest: string, body?: string, headers: Record<string, string> = {}) =>
  registry.fetch("PUT", `${location}?digest=${digest}`, { body, headers });

async function assertStored(digest: string, data: string, name = NAME): Promise<void> {
  const answer = await registry.fetch("GET", `/v2/${name}/blobs/${digest}`);
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), data);
}

describe("a blob in one piece, POST then PUT", () => {
  test("POST answers 202 with a location that has a UUID", async () => {
    assert.match(await begin(), UUID);
  });

  test("PUT answers 201 with a location from which the blob can be pulled", async () => {
    const data = fresh();
    const answer = await put(await begin(), digestOf(data), data);
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get("docker-content-digest"), digestOf(data));
    const pulled = await registry.fetch("GET", answer.headers.get("location") ?? "");
    assert.equal(await pulled.text(), data);
  });

  test("a digest that is not the content's is refused with 400 DIGEST_INVALID, and nothing is stored", async () => {
    const location = await begin();
    const answer = await put(location, digestOf("else"), "something");
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
    for (const digest of [digestOf("else"), digestOf("something")])
      assert.equal((await registry.fetch("HEAD", `/v2/${NAME}/blobs/${digest}`)).status, 404);
    assert.equal((await registry.fetch("GET", location)).status, 404);
  });

  for (const digest of ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "nonsense", `sha256:${"A".repeat(64)}`])
    test(`the digest ${digest.slice(0, 20)} is refused with 400 DIGEST_INVALID, and the upload goes on`, async () => {
      const location = await begin();
      const answer = await put(location, digest, "data");
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
      assert.equal((await put(location, digestOf("data"), "data")).status, 201);
    });

  test("a missing digest is refused with 400 DIGEST_INVALID", async () => {
    const answer = await registry.fetch("PUT", await begin(), { body: "data" });
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
  });

  test("the same blob twice is stored once, and both pushes succeed", async () => {
    const data = fresh();
    for (const name of ["twice/a", "twice/b"])
      assert.equal((await put(await begin(name), digestOf(data), data)).status, 201);
    await assertStored(digestOf(data), data, "twice/b");
  });

  test("two pushes of the same blob at the same time both succeed", async () => {
    const data = fresh(300_000);
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => put(await begin(`race/r${i % 3}`), digestOf(data), data)),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
    await assertStored(digestOf(data), data, "race/r2");
  });
});

describe("a blob in one piece, a single POST", () => {
  test("answers 201 with a location from which the blob can be pulled", async () => {
    const data = fresh();
    const answer = await registry.fetch("POST", `/v2/${NAME}/blobs/uploads/?digest=${digestOf(data)}`, { body: data });
    assert.equal(answer.status, 201);
    await assertStored(digestOf(data), data);
    assert.ok(answer.headers.get("location")?.endsWith(digestOf(data)));
  });

  test("a digest that is not the content's is refused with 400 DIGEST_INVALID, and nothing is left", async () => {
    const uploads = () => readdirSync(`${registry.root}/uploads`).length;
    const before = uploads();
    const path = `/v2/${NAME}/blobs/uploads/?digest=${digestOf("else")}`;
    const answer = await registry.fetch("POST", path, { body: "something" });
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
    assert.equal(uploads(), before);
  });

  test("without a body it only begins an upload", async () => {
    const answer = await registry.fetch("POST", `/v2/${NAME}/blobs/uploads/?digest=${digestOf("later")}`);
    assert.equal(answer.status, 202);
    assert.equal((await put(answer.headers.get("location") ?? "", digestOf("later"), "later")).status, 201);
  });
});

describe("a blob in chunks", () => {
  test("each chunk is answered with 202, a location and the range so far; PUT closes with 201", async () => {
    const data = fresh(3000);
    let location = await begin();
    for (const start of [0, 1000, 2000]) {
      const chunk = data.slice(start, start + 1000);
      const answer = await patch(location, chunk, { "Content-Range": `${start}-${start + 999}` });
      assert.equal(answer.status, 202);
      assert.equal(answer.headers.get("range"), `0-${start + 999}`);
      location = answer.headers.get("location") ?? "";
      assert.match(location, UUID);
    }
    assert.equal((await put(location, digestOf(data))).status, 201);
    await assertStored(digestOf(data), data);
  });

  test("the last chunk may come with the PUT", async () => {
    const data = fresh(2000);
    const location = await begin();
    await patch(location, data.slice(0, 1500), { "Content-Range": "0-1499" });
    const answer = await put(location, digestOf(data), data.slice(1500), { "Content-Range": "1500-1999" });
    assert.equal(answer.status, 201);
    await assertStored(digestOf(data), data);
  });

  for (const [what, range] of [
    ["after a gap", "1500-1999"],
    ["that is there already", "0-499"],
  ] as const) {
    test(`a chunk ${what} is refused with 416, which says what is there; the upload goes on`, async () => {
      const data = fresh(2000);
      const location = await begin();
      await patch(location, data.slice(0, 1000), { "Content-Range": "0-999" });
      const answer = await patch(location, data.slice(0, 500), { "Content-Range": range });
      assert.equal(answer.status, 416);
      assert.equal(answer.headers.get("range"), "0-999");
      assert.match(answer.headers.get("location") ?? "", UUID);
      assert.equal((await patch(location, data.slice(1000), { "Content-Range": "1000-1999" })).status, 202);
      assert.equal((await put(location, digestOf(data))).status, 201);
    });

    test(`a last chunk ${what} is refused with 416`, async () => {
      const location = await begin();
      await patch(location, "x".repeat(1000), { "Content-Range": "0-999" });
      const answer = await put(location, digestOf("x"), "x".repeat(500), { "Content-Range": range });
      assert.equal(answer.status, 416);
    });
  }

  test("a first chunk that does not begin at 0 is refused with 416", async () => {
    assert.equal((await patch(await begin(), "data", { "Content-Range": "5-8" })).status, 416);
  });

  for (const range of ["x-y", "5", "9-2", "-5", "0-1-2"])
    test(`the Content-Range ${range} is refused with 400`, async () => {
      const answer = await patch(await begin(), "data", { "Content-Range": range });
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), ["BLOB_UPLOAD_INVALID"]);
    });

  test("a Content-Range that has not the body's length is refused with 400 SIZE_INVALID", async () => {
    const answer = await patch(await begin(), "data", { "Content-Range": "0-9" });
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["SIZE_INVALID"]);
  });

  test("Docker's clients send no Content-Range: their chunks are appended", async () => {
    const data = fresh(2000);
    const location = await begin();
    assert.equal((await patch(location, data.slice(0, 700))).headers.get("range"), "0-699");
    assert.equal((await patch(location, data.slice(700))).headers.get("range"), "0-1999");
    assert.equal((await put(location, digestOf(data))).status, 201);
  });

  test("GET of the location answers 204 with the range so far", async () => {
    const location = await begin();
    assert.equal((await registry.fetch("GET", location)).headers.get("range"), "0-0");
    await patch(location, "x".repeat(1000));
    const answer = await registry.fetch("GET", location);
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get("range"), "0-999");
    assert.match(answer.headers.get("location") ?? "", UUID);
  });

  test("what came before a connection broke is kept, and the client goes on from there", async () => {
    const data = fresh(500_000);
    const location = await begin();
    const broken = new AbortController();
    const body = new ReadableStream({
      start(stream) {
        stream.enqueue(Buffer.from(data.slice(0, 200_000)));
        setTimeout(() => broken.abort(), 300);
      },
    });
    await assert.rejects(registry.fetch("PATCH", location, { body, signal: broken.signal }));
    const range = (await registry.fetch("GET", location)).headers.get("range") ?? "";
    const next = Number(range.split("-")[1]) + 1;
    assert.ok(next > 1 && next <= 200_000, range);
    const rest = { "Content-Range": `${next}-${data.length - 1}` };
    assert.equal((await patch(location, data.slice(next), rest)).status, 202);
    assert.equal((await put(location, digestOf(data))).status, 201);
    await assertStored(digestOf(data), data);
  });

  test("a client that comes back while its first request still hangs goes on at once", async () => {
    const location = await begin();
    const body = new ReadableStream({ start: (stream) => stream.enqueue(Buffer.from("x".repeat(1000))) });
    const hanging = registry.fetch("PATCH", location, { body }).catch(() => "ended");
    for (;;) {
      const { headers } = await registry.fetch("GET", location);
      if (headers.get("range") === "0-999") break;
    }
    assert.equal((await patch(location, "y".repeat(500), { "Content-Range": "1000-1499" })).status, 202);
    assert.equal(await hanging, "ended");
    assert.equal((await put(location, digestOf("x".repeat(1000) + "y".repeat(500)))).status, 201);
  });
});

describe("uploads", () => {
  test("DELETE cancels with 204, and the upload is unknown then", async () => {
    const location = await begin();
    await patch(location, "data");
    assert.equal((await registry.fetch("DELETE", location)).status, 204);
    const answer = await registry.fetch("GET", location);
    assert.equal(answer.status, 404);
    assert.deepEqual(await errorCodes(answer), ["BLOB_UPLOAD_UNKNOWN"]);
  });

  for (const method of ["GET", "PATCH", "PUT", "DELETE"])
    for (const id of ["00000000-0000-4000-8000-000000000000", "nonsense", "..%5c.."])
      test(`${method} of the unknown upload ${id} is answered with 404 BLOB_UPLOAD_UNKNOWN`, async () => {
        const answer = await registry.fetch(method, `/v2/${NAME}/blobs/uploads/${id}?digest=${digestOf("")}`);
        assert.equal(answer.status, 404);
        assert.deepEqual(await errorCodes(answer), ["BLOB_UPLOAD_UNKNOWN"]);
      });

  test("an upload belongs to its repository", async () => {
    const location = await begin("mine");
    assert.equal((await registry.fetch("GET", location.replace("/mine/", "/yours/"))).status, 404);
  });

  test("an upload survives the registry: the next process goes on with it", async () => {
    const data = fresh(5000);
    const first = await startRegistry();
    try {
      const started = await first.fetch("POST", `/v2/${NAME}/blobs/uploads/`);
      const location = started.headers.get("location") ?? "";
      await first.fetch("PATCH", location, { body: data.slice(0, 2000) });
      await first.registry[Symbol.asyncDispose]();
      await using second = await startRegistry({ root: first.root });
      assert.equal((await second.fetch("GET", location)).headers.get("range"), "0-1999");
      await second.fetch("PATCH", location, { body: data.slice(2000) });
      assert.equal((await second.fetch("PUT", `${location}?digest=${digestOf(data)}`)).status, 201);
    } finally {
      await first[Symbol.asyncDispose]();
    }
  });
});

describe("sha512", () => {
  test("POST with digest-algorithm begins an upload of it", async () => {
    const data = fresh();
    const location = await begin(NAME, "?digest-algorithm=sha512");
    await patch(location, data);
    assert.equal((await put(location, sha512(data))).status, 201);
    await assertStored(sha512(data), data);
  });

  test("a client that did not announce it may still close with it", async () => {
    const data = fresh();
    assert.equal((await put(await begin(), sha512(data), data)).status, 201);
    await assertStored(sha512(data), data);
  });

  test("an algorithm that is not supported is refused with 400 DIGEST_INVALID", async () => {
    const answer = await registry.fetch("POST", `/v2/${NAME}/blobs/uploads/?digest-algorithm=md5`);
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
  });
});

describe("sha512 in one request", () => {
  test("a single POST stores it", async () => {
    const data = fresh();
    const path = `/v2/${NAME}/blobs/uploads/?digest=${sha512(data)}`;
    const answer = await registry.fetch("POST", path, { body: data });
    assert.equal(answer.status, 201);
    await assertStored(sha512(data), data);
  });

  test("a blob is found by the digest it was pushed with, and by no other", async () => {
    const data = fresh();
    await registry.pushBlob(NAME, data, "sha512");
    assert.equal((await registry.fetch("HEAD", `/v2/${NAME}/blobs/${digestOf(data)}`)).status, 404);
  });
});

describe("mounting", () => {
  test("a blob of another repository is mounted with 201, a location and the digest", async () => {
    const { digest } = await registry.pushBlob("mount/from", "to mount");
    const answer = await registry.fetch("POST", `/v2/mount/to/blobs/uploads/?mount=${digest}&from=mount/from`);
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get("location"), `/v2/mount/to/blobs/${digest}`);
    assert.equal(answer.headers.get("docker-content-digest"), digest);
    await assertStored(digest, "to mount", "mount/to");
  });

  for (const [what, from] of [
    ["another repository does not have", "&from=mount/nothing"],
    ["no valid repository has", "&from=../etc"],
  ] as const)
    test(`a blob that ${what} is answered with 202, the beginning of an upload`, async () => {
      const { digest } = await registry.pushBlob("mount/third", what);
      const answer = await registry.fetch("POST", `/v2/mount/fourth/blobs/uploads/?mount=${digest}${from}`);
      assert.equal(answer.status, 202);
      assert.equal((await put(answer.headers.get("location") ?? "", digest, what)).status, 201);
    });

  test("without the other repository's name, the blob is found where the client may pull it", async () => {
    const { digest } = await registry.pushBlob("mount/fifth", "anywhere");
    const answer = await registry.fetch("POST", `/v2/mount/sixth/blobs/uploads/?mount=${digest}`);
    assert.equal(answer.status, 201);
    await assertStored(digest, "anywhere", "mount/sixth");
  });

  test("a blob that no repository has is answered with 202", async () => {
    const path = `/v2/mount/to/blobs/uploads/?mount=${digestOf("never seen")}`;
    assert.equal((await registry.fetch("POST", path)).status, 202);
  });

  test("what is no digest is refused with 400 DIGEST_INVALID", async () => {
    const answer = await registry.fetch("POST", "/v2/mount/to/blobs/uploads/?mount=sha256:x&from=mount/from");
    assert.equal(answer.status, 400);
    assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
  });

  test("a sha512 blob is mounted as any other, and a mount leaves nothing open", async () => {
    const before = readdirSync(`${registry.root}/uploads`).length;
    const { digest } = await registry.pushBlob("mount/from", "to mount by sha512", "sha512");
    const answer = await registry.fetch("POST", `/v2/mount/to/blobs/uploads/?mount=${digest}&from=mount/from`);
    assert.equal(answer.status, 201);
    await assertStored(digest, "to mount by sha512", "mount/to");
    assert.equal(readdirSync(`${registry.root}/uploads`).length, before);
  });
});
