/** Who is shown what, and what is asked for: challenges, tokens, redirects, mirrors, lists, logins. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { type TestContext, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import { makeImage, ociIndex, ociManifest } from "../testing/image-archives.ts";
import { refuse, ScriptedRegistry } from "../testing/scripted-registry.ts";
import { Connections } from "./connections.ts";
import { openRemote, REMOTE_DEFAULTS } from "./open.ts";
import type { Credentials, RemoteSettings } from "./remote.ts";
import { Tokens } from "./tokens.ts";

const ANN: Credentials = { username: "ann", password: "secret" };

async function setUp(t: TestContext, given: (host: string) => Partial<RemoteSettings> = () => ({})) {
  const registry = await ScriptedRegistry.start();
  const manifest = registry.addImage("app", "1", await makeImage());
  const remote = openRemote({ settings: { ...REMOTE_DEFAULTS, ...given(registry.host) } });
  t.after(async () => {
    await remote.close();
    await registry[Symbol.asyncDispose]();
  });
  const repository = (credentials?: Credentials, domain = registry.host) =>
    remote.repository({ domain, path: "app", tag: "1" }, { credentials, access: "pull" });
  const authorizations = (path: RegExp) =>
    registry.seen.filter(({ url }) => path.test(url)).map(({ headers }) => headers.authorization);
  return { registry, remote, repository, manifest, authorizations };
}

/** Wants a token that is still good, and gives them. */
function guard(registry: ScriptedRegistry, { uses = Number.POSITIVE_INFINITY, expires = 300 } = {}) {
  const given: string[] = [];
  const left = new Map<string, number>();
  registry.intercept = ({ url = "", headers }, response) => {
    if (url.startsWith("/token")) {
      given.push(url);
      left.set(`Bearer t${given.length}`, uses);
      response.end(JSON.stringify({ access_token: `t${given.length}`, expires_in: expires }));
      return true;
    }
    const count = left.get(headers.authorization ?? "") ?? 0;
    left.set(headers.authorization ?? "", count - 1);
    if (count <= 0) challenge(response, registry);
    return count <= 0;
  };
  return given;
}

function challenge(response: ServerResponse, registry: ScriptedRegistry): void {
  const realm = `Bearer realm="http://${registry.host}/token",service="s",scope="repository:app:pull"`;
  refuse(response, 401, "UNAUTHORIZED", { "WWW-Authenticate": realm });
}

test("a token serves until it is refused, then there is a new one", async (t) => {
  const { registry, repository, manifest } = await setUp(t);
  const given = guard(registry, { uses: 2 });
  const one = repository();
  for (let at = 0; at < 4; at++) await one.manifest({ digest: manifest });
  assert.equal(given.length, 2);
  assert.equal(new URL(given[0] ?? "", "http://x").searchParams.get("scope"), "repository:app:pull");
  assert.equal(registry.count("GET", /manifests/), 4 + 2, "asked for without a token, and with a spent one");
});

test("repositories of one registry share what is known of it, not each other's tokens", async (t) => {
  const { registry, repository } = await setUp(t);
  const given = guard(registry);
  await repository().manifest({ tag: "1" });
  await repository().manifest({ tag: "1" });
  await repository(ANN).manifest({ tag: "1" });
  assert.equal(given.length, 2);
  assert.equal(registry.count("GET", /manifests/), 4, "only the first request met a challenge");
});

test("a registry that refuses its own tokens is not asked for ever", async (t) => {
  const { registry, repository } = await setUp(t);
  guard(registry, { uses: 0 });
  await assert.rejects(repository().manifest({ tag: "1" }), { kind: "unauthorized" });
  assert.equal(registry.count("GET", /manifests/), 2);
});

test("a redirect to another host carries no token along", async (t) => {
  const { registry, repository } = await setUp(t);
  const elsewhere = await ScriptedRegistry.start();
  t.after(() => elsewhere[Symbol.asyncDispose]());
  const bytes = Buffer.from("hello");
  elsewhere.addBlob(bytes);
  guard(registry);
  const { intercept } = registry;
  registry.intercept = (request, response) => {
    if (request.headers.authorization === undefined || request.url?.includes("/blobs/") !== true)
      return intercept(request, response);
    response.writeHead(307, { Location: `http://127.0.0.1:${elsewhere.port}${request.url}` }).end();
    return true;
  };
  const got: Buffer[] = [];
  const write = async (chunk: Uint8Array) => void got.push(Buffer.from(chunk));
  await repository(ANN).fetch({ mediaType: "", digest: digestOf(bytes), size: bytes.length }, { offset: 0, write });
  assert.equal(Buffer.concat(got).toString(), "hello");
  assert.deepEqual(
    elsewhere.seen.map(({ headers }) => headers.authorization),
    [undefined],
  );
});

test("a mirror is asked first, without the registry's password; what it has not comes from the registry", async (t) => {
  const mirror = await ScriptedRegistry.start();
  t.after(() => mirror[Symbol.asyncDispose]());
  mirror.intercept = (_request, response) => {
    refuse(response, 401, "UNAUTHORIZED", { "WWW-Authenticate": 'Basic realm="mirror"' });
    return true;
  };
  const { registry, repository } = await setUp(t, (host) => ({
    rules: [{ prefix: host, mirrors: [{ location: mirror.host }] }],
  }));
  registry.intercept = ({ headers }, response) => {
    if (headers.authorization !== undefined) return false;
    refuse(response, 401, "UNAUTHORIZED", { "WWW-Authenticate": 'Basic realm="registry"' });
    return true;
  };
  await repository(ANN).manifest({ tag: "1" });
  assert.deepEqual(
    mirror.seen.map(({ headers }) => headers.authorization),
    [undefined],
  );
  assert.equal(registry.seen.at(-1)?.headers.authorization, `Basic ${Buffer.from("ann:secret").toString("base64")}`);
});

test("a mirror for digests alone is not asked what a tag is", async (t) => {
  const mirror = await ScriptedRegistry.start();
  t.after(() => mirror[Symbol.asyncDispose]());
  const { repository, manifest } = await setUp(t, (host) => ({
    rules: [{ prefix: host, mirrors: [{ location: mirror.host, pull: "digest-only" }] }],
  }));
  await repository().manifest({ tag: "1" });
  assert.equal(mirror.seen.length, 0);
  await repository().manifest({ digest: manifest });
  assert.equal(mirror.seen.length, 1);
});

test("a password is not sent over the open wire because a safe registry says so", async () => {
  const connections = new Connections(REMOTE_DEFAULTS);
  const request = {
    realm: "http://tokens.test/token",
    service: undefined,
    scopes: [],
    credentials: ANN,
    from: new URL("https://registry.test"),
  };
  await assert.rejects(new Tokens().get(request, { connections, settings: REMOTE_DEFAULTS, fresh: true }), {
    kind: "invalid",
    message: /wants the password sent to http:\/\/tokens\.test without encryption/,
  });
});

test("tags come page by page; a link to another host is not followed", async (t) => {
  const { registry, repository } = await setUp(t);
  registry.intercept = ({ url = "" }, response) => {
    const page = Number(new URL(url, "http://x").searchParams.get("page") ?? 0);
    const host = page === 2 ? "http://elsewhere.invalid" : "";
    response.setHeader("Link", `<${host}/v2/app/tags/list?page=${page + 1}>; rel="next"`);
    response.end(JSON.stringify({ tags: [`t${page}`, "not a tag", 7] }));
    return true;
  };
  assert.deepEqual(await Array.fromAsync(repository().tags()), ["t0", "t1", "t2"]);
});

test("login says whether the registry takes the password, and brings its identity token", async (t) => {
  const { registry, remote } = await setUp(t);
  registry.intercept = ({ url = "", headers }, response) => {
    if (url.startsWith("/token")) {
      const known = headers.authorization === `Basic ${Buffer.from("ann:secret").toString("base64")}`;
      if (known) response.end(JSON.stringify({ token: "t", refresh_token: "identity" }));
      else refuse(response, 401, "UNAUTHORIZED");
    } else if (headers.authorization === undefined) challenge(response, registry);
    else return false;
    return true;
  };
  const serverAddress = `http://${registry.host}/v2/`;
  assert.deepEqual(await remote.login({ ...ANN, serverAddress }), {
    status: "Login Succeeded",
    identityToken: "identity",
  });
  await assert.rejects(remote.login({ username: "ann", password: "x", serverAddress }), {
    kind: "unauthorized",
    message: /incorrect username or password/,
  });
});

test("searching asks the index, and where there is none the catalog", async (t) => {
  const { registry, remote } = await setUp(t);
  registry.intercept = ({ url = "" }, response) => {
    if (!url.startsWith("/v1/search")) return false;
    response.end(JSON.stringify({ results: [{ name: "a", description: "d", star_count: 3, is_official: true }] }));
    return true;
  };
  assert.deepEqual(await remote.search(`${registry.host}/a`), [
    { name: "a", description: "d", star_count: 3, is_official: true, is_automated: false },
  ]);
  registry.intercept = ({ url = "" }, response) => {
    if (url.startsWith("/v1/")) refuse(response, 404, "NOT_FOUND");
    else response.end(JSON.stringify({ repositories: url.includes("last=") ? [] : ["team/app", "team/web", "other"] }));
    return true;
  };
  const found = await remote.search(`${registry.host}/team`, { limit: 5 });
  assert.deepEqual(
    found.map(({ name }) => name),
    [`${registry.host}/team/app`, `${registry.host}/team/web`],
  );
  await assert.rejects(remote.search("a", { limit: 101 }), {
    kind: "invalid",
    message: /outside the range of \[1, 100\]/,
  });
});

test("what a name stands for: the descriptor, and the platforms", async (t) => {
  const { registry, remote, manifest } = await setUp(t);
  const image = await makeImage({ file: { architecture: "arm64", os: "linux", variant: "v8" } });
  registry.addImage("arm", "1", image);
  const ask = (path: string) => remote.distribution({ domain: registry.host, path, tag: "1" }, {});
  assert.deepEqual(await ask("arm"), {
    descriptor: { mediaType: MEDIA.ociManifest, digest: digestOf(ociManifest(image)), size: ociManifest(image).length },
    platforms: [{ os: "linux", architecture: "arm64", variant: "v8" }],
  });
  const platform = { os: "linux", architecture: "s390x" };
  registry.addManifest(
    "many",
    "1",
    ociIndex([{ mediaType: MEDIA.ociManifest, digest: manifest, size: 3, platform }]),
    MEDIA.ociIndex,
  );
  assert.deepEqual((await ask("many")).platforms, [platform]);
});
