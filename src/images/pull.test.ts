/** Pulling from a registry that the test controls: progress, sharing, resuming, cancelling, lies. */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { before, describe, type TestContext, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { makeImage, type TestImage } from "../testing/image-archives.ts";
import { openTestImages } from "../testing/images-harness.ts";
import { refuse, ScriptedRegistry } from "../testing/scripted-registry.ts";
import type { Progress } from "./images.ts";

/** Two layers; the upper one is larger than what a socket holds. */
let image: TestImage;
let large: Buffer = Buffer.alloc(0);
before(async () => {
  image = await makeImage({ layers: ["small", "x".repeat(3 << 20)] });
  large = image.layers[1] ?? large;
});

async function setUp(t: TestContext) {
  const registry = await ScriptedRegistry.start();
  t.after(() => registry[Symbol.asyncDispose]());
  registry.addImage("team/app", "1", image);
  const harness = openTestImages(t);
  const lines: Progress[] = [];
  const name = `${registry.host}/team/app:1`;
  const pull = (signal?: AbortSignal, of = name) =>
    harness.images.pull(of, { signal, onProgress: (line) => lines.push(line) });
  const ingests = () => readdirSync(harness.store.paths.ingests);
  const nothingKept = () => {
    assert.deepEqual(harness.blobs(), []);
    assert.deepEqual(ingests(), []);
    assert.deepEqual(harness.snapshots.layers(), []);
    assert.throws(() => harness.images.get(name), { kind: "not-found" });
  };
  return { ...harness, registry, name, lines, pull, ingests, nothingKept };
}

const isBlob = (url: string | undefined, bytes: Buffer) => url?.endsWith(`/blobs/${digestOf(bytes)}`) === true;

/** Sends the first bytes and cuts the connection. */
function cut(response: ServerResponse, bytes: Buffer, start: number, count: number): void {
  const rest = bytes.subarray(start);
  const range = start > 0 ? { "Content-Range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {};
  response.writeHead(start > 0 ? 206 : 200, { "Content-Length": rest.length, ...range });
  response.write(rest.subarray(0, count), () => response.destroy());
}

const startOf = (range: string | undefined) => Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);

test("the lines come in the order that Docker's clients draw", async (t) => {
  const { pull, lines, images, name, published } = await setUp(t);
  await pull();
  const texts = lines.map(({ id, status }) => `${id?.slice(0, 4) ?? ""} ${status}`);
  assert.equal(texts[0], "1 Pulling from team/app");
  assert.equal(texts.filter((text) => text.endsWith("Pulling fs layer")).length, 2);
  const upper = texts.filter((text) => text.startsWith(digestOf(large).slice(7, 11))).map((text) => text.slice(5));
  const order = [...new Set(upper)].filter((text) => !/ing$/.test(text) || text === "Downloading");
  assert.deepEqual(
    order.filter((text) => text !== "Downloading"),
    ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"],
  );
  assert.match(texts.at(-2) ?? "", /Digest: sha256:/);
  assert.match(texts.at(-1) ?? "", /Status: Downloaded newer image for localhost:\d+\/team\/app:1$/);
  assert.equal(images.get(name).id, image.id);
  assert.deepEqual(published.at(-1), {
    type: "image",
    action: "pull",
    id: name,
    attributes: { name: name.slice(0, -2) },
  });
});

test("a second pull asks for the manifest alone", async (t) => {
  const { pull, lines, registry } = await setUp(t);
  await pull();
  registry.seen.length = 0;
  lines.length = 0;
  await pull();
  assert.deepEqual(
    registry.seen.map(({ url }) => url.replace(/.*\//, "")),
    ["1"],
  );
  assert.match(lines.at(-1)?.status ?? "", /Image is up to date/);
});

test("a connection that is cut at any byte is gone on with from there", async (t) => {
  const { pull, registry, images, name, ingests } = await setUp(t);
  const cuts = [1, 2, 511, 65_536, 65_537, 1 << 20, large.length - 1];
  registry.intercept = ({ url, headers }, response) => {
    if (!isBlob(url, large)) return false;
    const at = cuts.shift();
    const start = startOf(headers.range);
    if (at === undefined || at <= start) return false;
    cut(response, large, start, at - start);
    return true;
  };
  await pull();
  assert.equal(images.get(name).id, image.id);
  const asked = registry.seen.filter(({ url }) => isBlob(url, large)).map(({ headers }) => startOf(headers.range));
  assert.ok(asked.length > 4, asked.join(" "));
  assert.deepEqual(
    asked,
    asked.toSorted((a, b) => a - b),
  );
  assert.deepEqual(ingests(), []);
});

test("a registry that knows no ranges, or gives others, is coped with or refused", async (t) => {
  const { pull, registry, images, name } = await setUp(t);
  let first = true;
  registry.intercept = ({ url, headers }, response) => {
    if (!isBlob(url, large)) return false;
    if (first) cut(response, large, 0, 100_000);
    else if (headers.range !== undefined) response.writeHead(200, { "Content-Length": large.length }).end(large);
    else return false;
    first = false;
    return true;
  };
  await pull();
  assert.equal(images.get(name).id, image.id);
});

test("after a failure the next pull goes on, also in another process", async (t) => {
  const { pull, registry, images, name, ingests, reopen } = await setUp(t);
  let away = true;
  registry.intercept = ({ url, headers }, response) => {
    if (!isBlob(url, large) || !away) return false;
    if (headers.range === undefined) cut(response, large, 0, 1_000_000);
    else refuse(response, 404, "BLOB_UNKNOWN");
    return true;
  };
  await assert.rejects(pull(), { kind: "not-found" });
  assert.deepEqual(ingests(), [], "what is not there needs no keeping");
  registry.intercept = ({ url, headers }, response) => {
    if (!isBlob(url, large) || !away) return false;
    if (headers.range === undefined) cut(response, large, 0, 1_000_000);
    else refuse(response, 503, "UNAVAILABLE", { "Retry-After": "0" });
    return true;
  };
  await assert.rejects(pull(), { kind: "unavailable" });
  assert.equal(ingests().length, 1);
  assert.throws(() => images.get(name), { kind: "not-found" });
  away = false;
  registry.seen.length = 0;
  await reopen().pull(name, { onProgress: () => {} });
  const [request] = registry.seen.filter(({ url }) => isBlob(url, large));
  assert.ok(startOf(request?.headers.range) > 0);
  assert.deepEqual(ingests(), []);
});

test("remains that are not what the blob begins with are thrown away, and the pull succeeds", async (t) => {
  const { pull, registry, images, name, store, ingests } = await setUp(t);
  const kept = `pull-${digestOf(large)}`;
  const ingest = await openTestImages(t).content.ingest(kept, { resume: true });
  const file = ingest.path.split("/").at(-1) ?? "";
  await ingest.abort();
  for (const bytes of [Buffer.alloc(70_000, 1), Buffer.alloc(large.length + 5)]) {
    writeFileSync(store.paths.ingest(file), bytes);
    await pull();
    assert.equal(images.get(name).id, image.id);
    assert.deepEqual(ingests(), []);
    await images.remove(name, { force: true, prune: true });
    registry.seen.length = 0;
  }
});

test("busy registries are waited for as they ask", async (t) => {
  const { pull, registry, images, name } = await setUp(t);
  const times: number[] = [];
  registry.intercept = (_request, response) => {
    times.push(Date.now());
    if (times.length > 2) return false;
    refuse(response, times.length === 1 ? 429 : 503, "TOOMANYREQUESTS", { "Retry-After": "1" });
    return true;
  };
  await pull();
  assert.equal(images.get(name).id, image.id);
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 900 && (times[2] ?? 0) - (times[1] ?? 0) >= 900, times.join(" "));
});

test("pulls at the same time share each download, and each ends by itself", async (t) => {
  const { pull, registry, images, name, lines } = await setUp(t);
  registry.addImage("other/app", "1", image);
  const gate = Promise.withResolvers<void>();
  registry.intercept = async ({ url }) => {
    if (isBlob(url, large)) await gate.promise;
    return false;
  };
  const quitting = new AbortController();
  const [one, two, three] = [pull(), pull(), pull(quitting.signal)];
  const other = pull(undefined, name.replace("team", "other"));
  await until(() => lines.filter(({ status }) => status === "Pulling fs layer").length === 8);
  quitting.abort();
  await assert.rejects(three, { kind: "cancelled" });
  gate.resolve();
  await Promise.all([one, two, other]);
  assert.equal(registry.count("GET", new RegExp(`blobs/${digestOf(large)}`)), 1);
  assert.equal(images.get(name.replace("team", "other")).id, image.id);
});

test("when the one who began a shared download may not have it, the others try for themselves", async (t) => {
  const { registry, images } = await setUp(t);
  registry.addImage("mine/app", "1", image);
  const gate = Promise.withResolvers<void>();
  registry.intercept = async ({ url }, response) => {
    if (!isBlob(url, large)) return false;
    await gate.promise;
    if (url?.includes("/team/") !== true) return false;
    refuse(response, 403, "DENIED");
    return true;
  };
  const first = images.pull(`${registry.host}/team/app:1`, { onProgress: () => {} });
  first.catch(() => {});
  await until(() => registry.count("GET", new RegExp(`blobs/${digestOf(large)}`)) === 1);
  const told: Progress[] = [];
  const second = images.pull(`${registry.host}/mine/app:1`, { onProgress: (line) => told.push(line) });
  await until(() => told.some(({ status }) => status === "Pulling fs layer"));
  gate.resolve();
  await assert.rejects(first, { kind: "not-found", message: /pull access denied/ });
  await second;
});

test("cancelling ends the requests and leaves nothing behind", async (t) => {
  const { pull, registry, nothingKept } = await setUp(t);
  const closed = Promise.withResolvers<void>();
  registry.intercept = ({ url }, response) => {
    if (!isBlob(url, large)) return false;
    response.writeHead(200, { "Content-Length": large.length });
    response.write(large.subarray(0, 500_000));
    response.once("close", () => closed.resolve());
    return true;
  };
  const stop = new AbortController();
  const pulling = pull(stop.signal);
  await until(() => registry.count("GET", new RegExp(`blobs/${digestOf(large)}`)) === 1);
  stop.abort();
  await assert.rejects(pulling, { kind: "cancelled" });
  await closed.promise;
  nothingKept();
});

describe("registries that lie", () => {
  const lies: readonly (readonly [
    what: string,
    lie: (response: ServerResponse, bytes: Buffer) => void,
    error: RegExp,
  ])[] = [
    [
      "other bytes",
      (response, bytes) =>
        response.writeHead(200, { "Content-Length": bytes.length }).end(Buffer.alloc(bytes.length, 7)),
      /is not what its manifest says: blob has digest/,
    ],
    [
      "a wrong length",
      (response, bytes) =>
        response.writeHead(200, { "Content-Length": bytes.length + 3 }).end(Buffer.alloc(bytes.length + 3)),
      /has \d+ bytes, its manifest says \d+/,
    ],
    ["a body without end", (response) => void endless(response), /is longer than the \d+ bytes that its manifest says/],
    [
      "redirects in circles",
      (response) => response.writeHead(307, { Location: "?again" }).end(),
      /redirects in circles/,
    ],
    [
      "a redirect to nowhere",
      (response) => response.writeHead(307, { Location: "file:///etc/passwd" }).end(),
      /redirects to "file/,
    ],
    [
      "another encoding",
      (response, bytes) => response.writeHead(200, { "Content-Encoding": "gzip" }).end(bytes),
      /content encoding gzip, which was not asked for/,
    ],
  ];
  for (const [what, lie, message] of lies)
    test(`${what} of a blob is an error, and nothing is kept`, async (t) => {
      const { pull, registry, nothingKept } = await setUp(t);
      registry.intercept = ({ url }, response) => {
        if (!isBlob(url?.replace("?again", ""), large)) return false;
        lie(response, large);
        return true;
      };
      await assert.rejects(pull(), { kind: "invalid", message });
      nothingKept();
    });

  const documents: readonly (readonly [what: string, lie: (response: ServerResponse) => void, error: RegExp])[] = [
    [
      "a web page",
      (response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>log in</html>"),
      /answered with a web page instead of manifest/,
    ],
    [
      "no JSON",
      (response) => response.writeHead(200, { "Content-Type": "application/json" }).end("{"),
      /is not valid JSON/,
    ],
    ["no manifest", (response) => response.end('{"schemaVersion":2,"hello":1}'), /answered with "an unknown document"/],
    ["a huge manifest", (response) => void endless(response), /has more than \d+ bytes/],
    [
      "a manifest of another digest",
      (response) =>
        response
          .writeHead(200, { "Docker-Content-Digest": `sha256:${"0".repeat(64)}` })
          .end('{"schemaVersion":2,"manifests":[]}'),
      /has digest sha256:.*, the registry says sha256:0/,
    ],
    [
      "schema 1",
      (response) =>
        response
          .writeHead(200, { "Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws" })
          .end('{"schemaVersion":1,"fsLayers":[]}'),
      /has the format schema 1, which is not supported any more/,
    ],
  ];
  for (const [what, lie, message] of documents)
    test(`${what} where a manifest should be is an error`, async (t) => {
      const { pull, registry, nothingKept } = await setUp(t);
      registry.intercept = ({ url }, response) => {
        if (url?.includes("/manifests/") !== true) return false;
        lie(response);
        return true;
      };
      await assert.rejects(pull(), { kind: "invalid", message });
      nothingKept();
    });

  test("a layer that is not the configuration's is refused", async (t) => {
    const other = await makeImage({ layers: ["small", "other"] });
    const { pull, registry, nothingKept } = await setUp(t);
    registry.addImage("team/app", "1", { ...image, layers: other.layers });
    await assert.rejects(pull(), { kind: "invalid", message: /diff id/ });
    nothingKept();
  });
});

async function endless(response: ServerResponse): Promise<void> {
  response.writeHead(200, { "Content-Type": "application/json" });
  const chunk = Buffer.alloc(1 << 16, " ");
  while (!response.destroyed) if (!response.write(chunk)) await new Promise((resolve) => setTimeout(resolve, 1));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
