/** The distribution specification's requirements on content discovery: one test each. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { digestOf } from "../../base/digest.ts";
import { MEDIA } from "../../oci/media-types.ts";
import type { Descriptor, ImageIndex } from "../../oci/types.ts";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { errorCodes } from "../../testing/registry-answers.ts";

let registry: TestRegistry;
const TAGS = ["Alpha", "_under", "b", "b.1", "b10", "b2", "zz"];
const SORTED = TAGS.toSorted();

before(async () => {
  registry = await startRegistry();
  const { digest } = await registry.pushImage("list/me", undefined, "x");
  const body = await (await registry.fetch("GET", `/v2/list/me/manifests/${digest}`)).text();
  const tags = TAGS.map((tag) => `tag=${tag}`).join("&");
  const headers = { "Content-Type": MEDIA.ociManifest };
  await registry.fetch("PUT", `/v2/list/me/manifests/${digest}?${tags}`, { body, headers });
});
after(() => registry[Symbol.asyncDispose]());

const get = (path: string) => registry.fetch("GET", path);
const next = (answer: Response) => /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];

describe("listing tags", () => {
  const list = async (query = "") => {
    const answer = await get(`/v2/list/me/tags/list${query}`);
    assert.equal(answer.status, 200);
    return { answer, body: (await answer.json()) as { name: string; tags: string[] } };
  };

  test("answers 200 with the name and all tags, in the order of their bytes", async () => {
    assert.deepEqual((await list()).body, { name: "list/me", tags: SORTED });
  });

  test("n gives so many, from the first on, and a link to the next", async () => {
    const { answer, body } = await list("?n=3");
    assert.deepEqual(body.tags, SORTED.slice(0, 3));
    assert.ok(next(answer)?.startsWith("/v2/list/me/tags/list?"));
  });

  test("following the links gives each tag once", async () => {
    const seen: string[] = [];
    for (let path: string | undefined = "/v2/list/me/tags/list?n=2"; path !== undefined; ) {
      const answer = await get(path);
      seen.push(...((await answer.json()) as { tags: string[] }).tags);
      path = next(answer);
    }
    assert.deepEqual(seen, SORTED);
  });

  test("n of 0 gives an empty list without a link", async () => {
    const { answer, body } = await list("?n=0");
    assert.deepEqual(body.tags, []);
    assert.equal(answer.headers.get("link"), null);
  });

  test("n of more than there are gives all, without a link", async () => {
    const { answer, body } = await list("?n=100");
    assert.deepEqual(body.tags, SORTED);
    assert.equal(answer.headers.get("link"), null);
  });

  test("last begins after a tag, with n or without", async () => {
    assert.deepEqual((await list("?last=b")).body.tags, SORTED.slice(SORTED.indexOf("b") + 1));
    assert.deepEqual((await list("?n=2&last=b")).body.tags, SORTED.slice(SORTED.indexOf("b") + 1).slice(0, 2));
  });

  test("last may be a tag that is not there (any more)", async () => {
    assert.deepEqual(
      (await list("?last=b1")).body.tags,
      SORTED.filter((tag) => tag > "b1"),
    );
    assert.deepEqual((await list("?last=zzz")).body.tags, []);
  });

  for (const n of ["x", "-1", "1.5", ""])
    test(`n=${n} is refused with 400`, async () => {
      const answer = await get(`/v2/list/me/tags/list?n=${n}`);
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), ["UNSUPPORTED"]);
    });

  test("a repository that is not there is answered with 404 NAME_UNKNOWN", async () => {
    const answer = await get("/v2/not/there/tags/list");
    assert.equal(answer.status, 404);
    assert.deepEqual(await errorCodes(answer), ["NAME_UNKNOWN"]);
  });

  test("a repository without tags has an empty list", async () => {
    await registry.pushImage("list/untagged", undefined, "x");
    assert.deepEqual(await (await get("/v2/list/untagged/tags/list")).json(), { name: "list/untagged", tags: [] });
  });
});

describe("the catalog, Docker's extension", () => {
  test("lists repositories in the order of their names, a page at a time", async () => {
    for (const name of ["c/a", "c-a", "c"]) await registry.pushImage(name, "1", name);
    const all = (await (await get("/v2/_catalog")).json()) as { repositories: string[] };
    assert.deepEqual(
      all.repositories.filter((name) => name.startsWith("c")),
      ["c", "c-a", "c/a"],
    );
    const first = await get("/v2/_catalog?n=1");
    assert.deepEqual(await first.json(), { repositories: ["c"] });
    const second = await get(next(first) ?? "");
    assert.deepEqual(await second.json(), { repositories: ["c-a"] });
  });
});

describe("listing referrers", () => {
  const NAME = "refer/me";
  let subject: Descriptor;
  let signature: Descriptor;
  let sbom: Descriptor;
  let index: Descriptor;

  before(async () => {
    subject = await registry.pushImage(NAME, "v1", "subject");
    const annotations = { "org.example.key": "value" };
    signature = await registry.pushImage(NAME, undefined, "signature", { subject });
    sbom = await registry.pushImage(NAME, undefined, "sbom", { subject, artifactType: "example/sbom", annotations });
    const document = { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests: [], subject };
    index = await registry.pushManifest(NAME, document);
  });

  const list = async (query = "", name = NAME) => {
    const answer = await get(`/v2/${name}/referrers/${subject.digest}${query}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), MEDIA.ociIndex);
    return { answer, body: (await answer.json()) as ImageIndex };
  };

  test("answers 200 with an index of what refers to it", async () => {
    const { body } = await list();
    assert.equal(body.schemaVersion, 2);
    assert.equal(body.mediaType, MEDIA.ociIndex);
    assert.deepEqual(
      body.manifests.map(({ digest }) => digest).sort(),
      [signature.digest, sbom.digest, index.digest].sort(),
    );
  });

  const shown = async (digest: string) => (await list()).body.manifests.find((item) => item.digest === digest);

  test("a descriptor has the manifest's type, size, artifact type and annotations", async () => {
    assert.deepEqual(await shown(sbom.digest), {
      ...sbom,
      artifactType: "example/sbom",
      annotations: { "org.example.key": "value" },
    });
  });

  test("an image without an artifact type shows that of its configuration", async () => {
    assert.equal((await shown(signature.digest))?.artifactType, MEDIA.ociConfig);
  });

  test("an index without an artifact type shows none", async () => {
    assert.deepEqual(await shown(index.digest), index);
  });

  test("artifactType filters, and says so", async () => {
    const { answer, body } = await list("?artifactType=example/sbom");
    assert.equal(answer.headers.get("oci-filters-applied"), "artifactType");
    assert.deepEqual(
      body.manifests.map(({ digest }) => digest),
      [sbom.digest],
    );
    assert.deepEqual((await list("?artifactType=example/none")).body.manifests, []);
  });

  test("without a filter nothing is said of one", async () => {
    assert.equal((await list()).answer.headers.get("oci-filters-applied"), null);
  });

  test("what nothing refers to has an empty list, also in a repository that is not there", async () => {
    assert.deepEqual((await list("", "refer/other")).body.manifests, []);
    const none = await get(`/v2/${NAME}/referrers/${digestOf("none")}`);
    assert.deepEqual(((await none.json()) as ImageIndex).manifests, []);
  });

  for (const digest of ["sha256:x", "nonsense", "sha256:", ":x"])
    test(`the digest ${digest} is refused with 400 DIGEST_INVALID`, async () => {
      const answer = await get(`/v2/${NAME}/referrers/${digest}`);
      assert.equal(answer.status, 400);
      assert.deepEqual(await errorCodes(answer), ["DIGEST_INVALID"]);
    });

  test("a subject may have a digest of any algorithm", async () => {
    const other = { mediaType: MEDIA.ociManifest, digest: "blake3+x:abcDEF_1", size: 1 };
    const { digest } = await registry.pushImage(NAME, undefined, "other", { subject: other });
    const answer = await get(`/v2/${NAME}/referrers/${other.digest}`);
    assert.equal(((await answer.json()) as ImageIndex).manifests[0]?.digest, digest);
  });

  test("a referrer that is pushed before its subject is listed", async () => {
    const later = { mediaType: MEDIA.ociManifest, digest: digestOf("later"), size: 1 };
    const { digest } = await registry.pushImage(NAME, undefined, "early", { subject: later });
    const answer = await get(`/v2/${NAME}/referrers/${later.digest}`);
    assert.equal(((await answer.json()) as ImageIndex).manifests[0]?.digest, digest);
  });

  test("a list too long for one answer goes on behind a link, with its filter", async () => {
    const long = { mediaType: MEDIA.ociManifest, digest: digestOf("long"), size: 1 };
    const pushed = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const annotations = { filler: String(i).repeat(900_000) };
      const more = { subject: long, artifactType: "example/long", annotations };
      pushed.add((await registry.pushImage(NAME, undefined, "long", more)).digest);
    }
    const seen: string[] = [];
    for (let path: string | undefined = `/v2/${NAME}/referrers/${long.digest}?artifactType=example/long`; path; ) {
      const answer = await get(path);
      assert.equal(answer.headers.get("oci-filters-applied"), "artifactType");
      const text = await answer.text();
      assert.ok(text.length < 4 << 20);
      seen.push(...(JSON.parse(text) as ImageIndex).manifests.map(({ digest }) => digest));
      path = next(answer);
    }
    assert.equal(seen.length, 6);
    assert.deepEqual(new Set(seen), pushed);
  });

  test("goes on when its subject is deleted, and has each referrer once however often it is pushed", async () => {
    const gone = await registry.pushImage("refer/gone", "v1", "subject");
    for (let i = 0; i < 2; i++) await registry.pushImage("refer/gone", "about", "signature", { subject: gone });
    await registry.fetch("DELETE", `/v2/refer/gone/manifests/${gone.digest}`);
    const answer = await get(`/v2/refer/gone/referrers/${gone.digest}`);
    assert.equal(((await answer.json()) as ImageIndex).manifests.length, 1);
  });

  test("is of one repository: another's referrers are not listed", async () => {
    await registry.pushImage("refer/other", undefined, "elsewhere", { subject });
    const { body } = await list("", "refer/other");
    assert.equal(body.manifests.length, 1);
    assert.equal((await list()).body.manifests.length, 3);
  });

  test("an artifactType that nothing has gives an empty list, filtered", async () => {
    const { answer, body } = await list("?artifactType=none/such");
    assert.deepEqual(body.manifests, []);
    assert.equal(answer.headers.get("oci-filters-applied"), "artifactType");
  });
});

describe("extensions", () => {
  for (const [where, name] of [
    ["/v2/_oci/ext/discover", "_catalog"],
    ["/v2/refer/me/_oci/ext/discover", "_gantry"],
  ] as const)
    test(`${where} names those that are here`, async () => {
      const answer = await get(where);
      assert.equal(answer.status, 200);
      const { extensions } = (await answer.json()) as {
        extensions: { name: string; url: string; endpoints: string[] }[];
      };
      assert.deepEqual(
        extensions.map((one) => one.name),
        ["_oci", name],
      );
      for (const { url, endpoints } of extensions) assert.ok(url !== "" && endpoints.length > 0);
    });
});
