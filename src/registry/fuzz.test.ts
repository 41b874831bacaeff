/** Requests made from the table of routes, by the thousand: whatever they say, the answer is one that the specification knows. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import { startRegistry, type TestRegistry } from "../testing/registry.ts";
import { ROUTES } from "./http/routes.ts";

const REQUESTS = 2_000;
/** All that a 4XX may say. */
const CODES = new Set([
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS",
]);

const known = digestOf("known");
const mostly = <T>(usual: readonly T[], odd: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: odd });
const odd = fc.oneof(
  fc.constantFrom("", "..", "%00", "%2e%2e%2f", "%", "%ff", "a".repeat(300), "_gantry", "__proto__", "sha256:", "A/B"),
  fc.string({ maxLength: 40 }).map(encodeURIComponent),
);
const name = mostly(["app", "app", "app", "team/app", "a/b/c"], odd);
const digest = mostly([known, digestOf("other"), `sha512:${"a".repeat(128)}`, "sha256:x", "md5:0123"], odd);
const reference = fc.oneof(mostly(["v1", "latest", "x".repeat(128), "x".repeat(129)], odd), digest);
const upload = mostly(["UPLOAD", "00000000-0000-4000-8000-000000000000"], odd);
const query = fc.array(
  fc.tuple(
    fc.constantFrom("digest", "mount", "from", "n", "last", "artifactType", "tag", "digest-algorithm", "ns", "service"),
    fc.oneof(digest, name, fc.constantFrom("0", "-1", "1e9", "99999999999999999999", "sha512")),
  ),
  { maxLength: 3 },
);
const path = fc.oneof(
  name.map((n) => `/v2/${n}/tags/list`),
  name.map((n) => `/v2/${n}/_gantry/tags/list`),
  name.map((n) => `/v2/${n}/blobs/uploads/`),
  fc.tuple(name, upload).map(([n, id]) => `/v2/${n}/blobs/uploads/${id}`),
  fc.tuple(name, digest).map(([n, d]) => `/v2/${n}/blobs/${d}`),
  fc.tuple(name, reference).map(([n, r]) => `/v2/${n}/manifests/${r}`),
  fc.tuple(name, digest).map(([n, d]) => `/v2/${n}/referrers/${d}`),
  fc.constantFrom(
    "/",
    "/v2/",
    "/v2/_catalog",
    "/ui/",
    "/ui/../main.ts",
    "/ui/%2e%2e%2fpage.ts",
    "/healthz",
    "/metrics",
    "/token",
  ),
  odd.map((text) => `/${text}`),
);
const header = fc.oneof(
  fc.tuple(
    fc.constantFrom("Range", "Content-Range", "If-Match", "If-None-Match", "If-Range", "Authorization", "Accept"),
    fc.constantFrom(
      "bytes=0-1",
      "bytes=-0",
      "bytes=9-1",
      "0-4",
      "5-2",
      "99999999999999999-1",
      "*",
      `"${known}"`,
      "Basic !!",
      "Bearer x.y.z",
      "x",
    ),
  ),
  fc.tuple(fc.constant("Content-Type"), fc.constantFrom(MEDIA.ociManifest, MEDIA.ociIndex, "text/html", "a/b; c", "")),
);
const document = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc
    .record(
      {
        schemaVersion: fc.constantFrom<unknown>(2, 1, "2", null),
        mediaType: fc.constantFrom<unknown>(MEDIA.ociManifest, MEDIA.ociIndex, MEDIA.dockerList, "x", 7),
        config: fc.constantFrom<unknown>(
          { mediaType: MEDIA.ociConfig, digest: known, size: 5 },
          { digest: 1 },
          null,
          [],
        ),
        layers: fc.constantFrom<unknown>([], [{ digest: known, size: 5 }], [{ digest: "../..", size: -1 }], {}, [null]),
        manifests: fc.constantFrom<unknown>([], [{ digest: known, size: 5 }], 1, [[]]),
        subject: fc.constantFrom<unknown>({ mediaType: "x", digest: known, size: 5 }, { digest: "a:../../b" }, 1),
        annotations: fc.constantFrom<unknown>({ a: "b" }, { a: 1 }, []),
        artifactType: fc.constantFrom<unknown>("a/b", 1, ""),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value)),
);
const body = fc.oneof(
  fc.constant(""),
  fc.constant("known"),
  fc.constant("x".repeat(100_000)),
  document,
  document,
  fc.string(),
);
const drawn = fc.record({
  dice: fc.nat(99),
  path,
  query,
  headers: fc.array(header, { maxLength: 3 }),
  body,
});
type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/** Mostly one that the path has. */
function methodOf({ dice, path: at }: Drawn): string {
  const route = dice < 90 ? ROUTES.find((one) => one.path.test(at)) : undefined;
  const methods = route === undefined ? METHODS : Object.keys(route.methods);
  return methods[dice % methods.length] ?? "GET";
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** `upload`: an upload that is open. Undefined for what Node's own client refuses to send. */
function send(registry: TestRegistry, one: Drawn, open: string): Promise<Answer | undefined> {
  const { headers, body: data } = one;
  const method = methodOf(one);
  const search = one.query.map(([key, value]) => `${key}=${value}`).join("&");
  const target = `${one.path.replace("UPLOAD", open)}${search === "" ? "" : `?${search}`}`;
  return new Promise((resolve, reject) => {
    try {
      const [hostname, port] = registry.host.split(":");
      const sent = { ...Object.fromEntries(headers), "Content-Length": Buffer.byteLength(data) };
      const going = request({ hostname, port, method, path: target, headers: sent }, async (response) => {
        const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
        resolve({ status: response.statusCode ?? 0, type: String(response.headers["content-type"]), text });
      });
      going.on("error", reject).end(data);
    } catch {
      resolve(undefined);
    }
  });
}

function assertKnown(one: Drawn, { status, type, text }: Answer): void {
  assert.ok(status >= 200 && status < 500, `${status}: ${text}`);
  if (status < 400 || methodOf(one) === "HEAD" || status === 416) return;
  assert.match(type, /^application\/json/, text);
  const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] };
  for (const { code, message } of errors) assert.ok(CODES.has(code) && message.length > 0, text);
}

test(`${REQUESTS} requests made from the routes are answered as the specification says, and harm nothing`, async () => {
  const logged: string[] = [];
  const logger = { log: (level: string, message: string) => void (level === "error" && logged.push(message)) };
  await using registry = await startRegistry({ logger });
  const started = await registry.fetch("POST", "/v2/app/blobs/uploads/");
  const open = started.headers.get("location")?.split("/").at(-1) ?? "";
  for (const place of ["app", "keep/me"]) await registry.pushBlob(place, "known");
  const image = await registry.pushImage("keep/me", "v1", "layer");
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(drawn, { minLength: 10, maxLength: 10 }), async (requests) => {
      const answers = await Promise.all(requests.map((one) => send(registry, one, open)));
      for (const [at, answer] of answers.entries()) {
        if (answer === undefined) continue;
        answered++;
        assertKnown(requests[at] as Drawn, answer);
      }
    }),
    { numRuns: REQUESTS / 10 },
  );
  assert.ok(answered > REQUESTS / 2, `${answered} answered`);
  assert.deepEqual(logged, []);
  const kept = await registry.fetch("GET", "/v2/keep/me/manifests/v1");
  assert.equal(kept.headers.get("docker-content-digest"), image.digest);
  const folders = readdirSync(registry.root).toSorted();
  const drawnFolders = [
    "blobs",
    "control.sock",
    "registry.lock",
    "repositories",
    "tmp",
    "token.key",
    "unsynced",
    "uploads",
  ];
  for (const folder of folders) assert.ok([...drawnFolders, "webhooks"].includes(folder), folder);
  assert.deepEqual(readdirSync(join(registry.root, "tmp")), []);
});
