/** Who may do what: over HTTP, as clients see it. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startRegistry, type TestRegistry } from "../../testing/registry.ts";
import { errorCodes } from "../../testing/registry-answers.ts";
import { readConfig } from "../config/config.ts";
import { hashPassword } from "./add-user.ts";

const folder = mkdtempSync(join(tmpdir(), "gantry-registry-auth-"));
const htpasswd = join(folder, "htpasswd");
const authOf = (auth: object) => readConfig({ auth }).auth;
const basic = (user: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

before(async () => {
  const lines = await Promise.all(["alice", "bob", "eve"].map((user) => hashPassword(user, `${user}'s`, 4)));
  writeFileSync(htpasswd, `# users\n\n${lines.join("\n")}\n`);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const begin = async (registry: TestRegistry, name: string, headers: Record<string, string>) =>
  (await registry.fetch("POST", `/v2/${name}/blobs/uploads/`, { headers })).status;

describe("users with name and password", () => {
  let registry: TestRegistry;
  before(async () => {
    registry = await startRegistry({ auth: authOf({ htpasswd }) });
  });
  after(() => registry[Symbol.asyncDispose]());

  test("who is not logged in gets 401 with a challenge, everywhere", async () => {
    for (const path of ["/v2/", "/v2/a/manifests/b", "/v2/a/tags/list", "/v2/_catalog"]) {
      const answer = await registry.fetch("GET", path);
      assert.equal(answer.status, 401);
      assert.match(answer.headers.get("www-authenticate") ?? "", /^Basic realm=/);
      assert.deepEqual(await errorCodes(answer), ["UNAUTHORIZED"]);
    }
  });

  test("who is logged in may do everything", async () => {
    assert.equal((await registry.fetch("GET", "/v2/", { headers: basic("alice", "alice's") })).status, 200);
    assert.equal(await begin(registry, "a", basic("alice", "alice's")), 202);
  });

  for (const [what, headers] of [
    ["password", basic("alice", "wrong")],
    ["user", basic("nobody", "alice's")],
    ["empty password", basic("alice", "")],
    ["endless password", basic("alice", "x".repeat(5000))],
    ["scheme", { Authorization: "Digest x" }],
    ["base64", { Authorization: "Basic !!!" }],
    ["token", { Authorization: "Bearer x.y.z" }],
  ] as const)
    test(`a wrong ${what} is refused with 401`, async () => {
      assert.equal((await registry.fetch("GET", "/v2/", { headers })).status, 401);
    });

  test("a flood of wrong passwords is refused with 429 and Retry-After, and others get through afterwards", async () => {
    const flood = Array.from({ length: 300 }, (_, i) =>
      registry.fetch("GET", "/v2/", { headers: basic("eve", `${i}`) }),
    );
    const answers = await Promise.all(flood);
    const statuses = new Set(answers.map(({ status }) => status));
    assert.ok(statuses.has(401));
    const refused = answers.find(({ status }) => status === 429);
    if (refused !== undefined) {
      assert.ok(Number(refused.headers.get("retry-after")) > 0);
      assert.deepEqual(await errorCodes(refused), ["TOOMANYREQUESTS"]);
    }
    assert.equal((await registry.fetch("GET", "/v2/", { headers: basic("bob", "bob's") })).status, 200);
  });
});

test("a changed htpasswd file holds for the next requests; a broken one changes nothing", async () => {
  const path = join(folder, "changing");
  writeFileSync(path, `${await hashPassword("alice", "old", 4)}\n`);
  await using registry = await startRegistry({ auth: authOf({ htpasswd: path }) });
  const status = async (password: string) =>
    (await registry.fetch("GET", "/v2/", { headers: basic("alice", password) })).status;
  assert.equal(await status("old"), 200);
  writeFileSync(path, "alice:{SHA}broken\n");
  await sleep(1100);
  assert.equal(await status("old"), 200);
  writeFileSync(path, `${await hashPassword("alice", "new", 4)}\n`);
  await sleep(1100);
  assert.equal(await status("new"), 200);
  assert.equal(await status("old"), 401);
});

const RULES = [
  { repositories: "public/**", users: ["anonymous"], actions: ["pull"] },
  { repositories: ["team/*"], users: ["@team"], actions: ["pull", "push"] },
  { repositories: "**", users: ["eve"], actions: ["delete"] },
];

/** [who, repository, pull, push, delete] */
const MATRIX: readonly (readonly [user: string | undefined, name: string, may: string])[] = [
  [undefined, "public/app", "pull"],
  [undefined, "public/deep/app", "pull"],
  [undefined, "team/app", ""],
  ["alice", "public/app", "pull"],
  ["alice", "team/app", "pull push"],
  ["alice", "team/deep/app", ""],
  ["bob", "team/app", ""],
  ["eve", "team/app", "delete"],
];
const ASK: Readonly<Record<string, readonly [method: string, path: string]>> = {
  pull: ["GET", "/tags/list"],
  push: ["POST", "/blobs/uploads/"],
  delete: ["DELETE", "/manifests/x"],
};

for (const scheme of ["basic", "token"])
  describe(`rules by repository, with ${scheme}`, () => {
    let registry: TestRegistry;
    before(async () => {
      registry = await startRegistry({ auth: authOf({ htpasswd, scheme, groups: { team: ["alice"] }, rules: RULES }) });
    });
    after(() => registry[Symbol.asyncDispose]());

    /** As a client does it: answers the challenge, once. */
    async function ask(user: string | undefined, method: string, path: string): Promise<Response> {
      const login: Record<string, string> = user === undefined ? {} : basic(user, `${user}'s`);
      const first = await registry.fetch(method, path, { headers: scheme === "basic" ? login : {} });
      const challenge = first.headers.get("www-authenticate") ?? "";
      const realm = /realm="(http[^"]+)"/.exec(challenge)?.[1];
      if (realm === undefined) return first;
      const query = new URLSearchParams(
        [...challenge.matchAll(/(service|scope)="([^"]+)"/g)].map(([, key = "", value = ""]) => [key, value]),
      );
      const answer = await fetch(`${realm}?${query}`, { headers: login });
      const { token } = (await answer.json()) as { token: string };
      return await registry.fetch(method, path, { headers: { Authorization: `Bearer ${token}` } });
    }

    for (const [user, name, may] of MATRIX)
      for (const [action, [method, path]] of Object.entries(ASK)) {
        const allowed = may.split(" ").includes(action);
        test(`${user ?? "anyone"} may ${allowed ? "" : "not "}${action} ${name}`, async () => {
          const { status } = await ask(user, method, `/v2/${name}${path}`);
          if (allowed) assert.ok([200, 202, 404].includes(status), String(status));
          else assert.equal(status, user === undefined ? 401 : 403);
        });
      }

    test("the catalog shows what one may pull", async () => {
      await using writer = await startRegistry();
      for (const name of ["public/app", "team/app"]) await writer.pushImage(name, "1", name);
      const auth = authOf({ htpasswd, scheme: "basic", groups: { team: ["alice"] }, rules: RULES });
      await using reader = await startRegistry({ root: writer.root, readOnly: true, auth });
      const list = async (user: string) =>
        (await reader.fetch("GET", "/v2/_catalog", { headers: basic(user, `${user}'s`) })).json();
      assert.deepEqual(await list("alice"), { repositories: ["public/app", "team/app"] });
      assert.deepEqual(await list("bob"), { repositories: ["public/app"] });
    });
  });

describe("tokens of the registry itself", () => {
  let registry: TestRegistry;
  before(async () => {
    registry = await startRegistry({ auth: authOf({ htpasswd, groups: { team: ["alice"] }, rules: RULES }) });
  });
  after(() => registry[Symbol.asyncDispose]());

  const accessIn = (token: string) =>
    JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { access: unknown; sub: string };

  test("the challenge says where to get one, and for what", async () => {
    const answer = await registry.fetch("POST", "/v2/team/app/blobs/uploads/");
    const challenge = answer.headers.get("www-authenticate") ?? "";
    assert.match(challenge, /^Bearer /);
    assert.ok(challenge.includes(`realm="${registry.url}/token"`));
    assert.ok(challenge.includes('scope="repository:team/app:pull,push"'));
  });

  test("a token has what the user may do of what was asked, no more", async () => {
    const path = "/token?scope=repository:team/app:pull,push,delete&scope=repository:other:pull";
    const answer = await registry.fetch("GET", path, { headers: basic("alice", "alice's") });
    assert.equal(answer.headers.get("cache-control"), "no-store");
    const { token, access_token, expires_in } = (await answer.json()) as Record<string, string>;
    assert.equal(token, access_token);
    assert.ok(Number(expires_in) >= 60);
    const { access, sub } = accessIn(token ?? "");
    assert.equal(sub, "alice");
    assert.deepEqual(access, [{ type: "repository", name: "team/app", actions: ["pull", "push"] }]);
  });

  test("wrong credentials get none, also where anyone would get one", async () => {
    assert.equal((await registry.fetch("GET", "/token", { headers: basic("alice", "wrong") })).status, 401);
  });

  const form = (fields: Record<string, string>) =>
    registry.fetch("POST", "/token", {
      body: new URLSearchParams(fields).toString(),
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
    });

  test("OAuth: a password gives a token, and a refresh token where one is asked for; that gives tokens", async () => {
    const scope = "repository:team/app:push";
    const first = await form({
      grant_type: "password",
      username: "alice",
      password: "alice's",
      access_type: "offline",
      scope,
    });
    const { refresh_token } = (await first.json()) as Record<string, string>;
    const second = await form({ grant_type: "refresh_token", refresh_token: refresh_token ?? "", scope });
    assert.equal(second.status, 200);
    const { access_token = "" } = (await second.json()) as Record<string, string>;
    assert.equal(await begin(registry, "team/app", { Authorization: `Bearer ${access_token}` }), 202);
    assert.equal(await begin(registry, "team/app", { Authorization: `Bearer ${refresh_token}` }), 401);
  });

  test("OAuth: wrong passwords and tokens are refused with 401, other grants with 400", async () => {
    assert.equal((await form({ grant_type: "password", username: "alice", password: "x" })).status, 401);
    assert.equal((await form({ grant_type: "refresh_token", refresh_token: "x" })).status, 401);
    assert.equal((await form({ grant_type: "device" })).status, 400);
  });

  test("a token for one repository is none for another", async () => {
    const answer = await registry.fetch("GET", "/token?scope=repository:team/app:push", {
      headers: basic("alice", "alice's"),
    });
    const { token } = (await answer.json()) as { token: string };
    const other = await registry.fetch("POST", "/v2/team/other/blobs/uploads/", {
      headers: { Authorization: `Bearer ${token}` },
    });
    assert.equal(other.status, 401);
    assert.match(other.headers.get("www-authenticate") ?? "", /error="insufficient_scope"/);
  });

  test("a token that was changed is none", async () => {
    const answer = await registry.fetch("GET", "/token?scope=repository:team/app:push", {
      headers: basic("alice", "alice's"),
    });
    const [head, , signature] = ((await answer.json()) as { token: string }).token.split(".");
    const claims = {
      aud: "gantry-registry",
      use: "access",
      exp: Date.now(),
      access: [{ type: "repository", name: "x", actions: ["*"] }],
    };
    const forged = `${head}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.${signature}`;
    const none = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${forged.split(".")[1]}.`;
    for (const token of [forged, none])
      assert.equal(await begin(registry, "team/app", { Authorization: `Bearer ${token}` }), 401);
  });

  test("a mount from a repository that one may not pull from becomes an upload", async () => {
    const token = async (scope: string) => {
      const answer = await registry.fetch("GET", `/token?scope=${scope}`, { headers: basic("alice", "alice's") });
      return { Authorization: `Bearer ${((await answer.json()) as { token: string }).token}` };
    };
    const digest = `sha256:${"a".repeat(64)}`;
    const path = (from: string) => `/v2/team/app/blobs/uploads/?mount=${digest}&from=${from}`;
    const headers = await token("repository:team/app:pull,push");
    assert.equal((await registry.fetch("POST", path("secret/app"), { headers })).status, 202);
    const narrow = await registry.fetch("POST", path("team/source"), { headers });
    assert.equal(narrow.status, 401);
    assert.match(
      narrow.headers.get("www-authenticate") ?? "",
      /repository:team\/app:pull,push repository:team\/source:pull/,
    );
  });
});

describe("tokens of another server", () => {
  const pairs = {
    EdDSA: generateKeyPairSync("ed25519"),
    ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
    RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  };
  const keys = join(folder, "keys.json");
  let registry: TestRegistry;
  before(async () => {
    const set = Object.entries(pairs).map(([kid, { publicKey }]) => ({ ...publicKey.export({ format: "jwk" }), kid }));
    writeFileSync(keys, JSON.stringify({ keys: set }));
    const token = { realm: "https://auth.example/token", service: "our registry", issuer: "auth.example", keys };
    registry = await startRegistry({ auth: authOf({ token }) });
  });
  after(() => registry[Symbol.asyncDispose]());

  function makeToken(alg: string, key: KeyObject, claims: object = {}, kid: string = alg): string {
    const all = {
      iss: "auth.example",
      aud: "our registry",
      sub: "carol",
      exp: Math.floor(Date.now() / 1000) + 60,
      access: [{ type: "repository", name: "team/app", actions: ["push"] }],
      ...claims,
    };
    const body = [{ alg, typ: "JWT", kid }, all]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    const options = { key, dsaEncoding: "ieee-p1363" as const };
    return `${body}.${sign(alg === "EdDSA" ? null : "sha256", Buffer.from(body), options).toString("base64url")}`;
  }
  const push = (token: string) => begin(registry, "team/app", { Authorization: `Bearer ${token}` });

  test("the challenge names that server", async () => {
    const answer = await registry.fetch("GET", "/v2/");
    assert.equal(
      answer.headers.get("www-authenticate"),
      'Bearer realm="https://auth.example/token",service="our registry"',
    );
  });

  for (const [alg, { privateKey }] of Object.entries(pairs))
    test(`one signed with ${alg} is accepted for what it grants`, async () => {
      assert.equal(await push(makeToken(alg, privateKey)), 202);
      const headers = { Authorization: `Bearer ${makeToken(alg, privateKey)}` };
      assert.equal((await registry.fetch("GET", "/v2/team/app/tags/list", { headers })).status, 401);
    });

  const past = Math.floor(Date.now() / 1000) - 3600;
  const wrong: readonly (readonly [what: string, make: () => string])[] = [
    ["for another service", () => makeToken("EdDSA", pairs.EdDSA.privateKey, { aud: "other" })],
    ["of another issuer", () => makeToken("EdDSA", pairs.EdDSA.privateKey, { iss: "other" })],
    ["that is over", () => makeToken("EdDSA", pairs.EdDSA.privateKey, { exp: past })],
    ["without an end", () => makeToken("EdDSA", pairs.EdDSA.privateKey, { exp: undefined })],
    ["whose time has not come", () => makeToken("EdDSA", pairs.EdDSA.privateKey, { nbf: Date.now() })],
    ["of an unknown key", () => makeToken("EdDSA", generateKeyPairSync("ed25519").privateKey)],
    ["signed by one key in the name of another", () => makeToken("EdDSA", pairs.EdDSA.privateKey, {}, "ES256")],
  ];
  for (const [what, make] of wrong)
    test(`one ${what} is refused`, async () => {
      assert.equal(await push(make()), 401);
    });
});

const BROKEN: readonly (readonly [what: string, config: object, message: RegExp])[] = [
  ["an unknown setting", { nope: 1 }, /registry: there is no setting "nope"/],
  [
    "a rule without users",
    { auth: { htpasswd, rules: [{ repositories: "x", actions: [] }] } },
    /rules\[0\]: users is missing/,
  ],
  [
    "an unknown group",
    { auth: { htpasswd, rules: [{ repositories: "x", users: ["@no"], actions: [] }] } },
    /no group "no"/,
  ],
  [
    "an unknown action",
    { auth: { htpasswd, rules: [{ repositories: "x", users: [], actions: ["own"] }] } },
    /actions\[0\]: one of pull/,
  ],
  [
    "a broken pattern",
    { auth: { htpasswd, rules: [{ repositories: "a(b", users: [], actions: [] }] } },
    /a pattern of names/,
  ],
  ["rules without users", { auth: {} }, /htpasswd or token is missing/],
  ["a port out of range", { listen: "1:99999" }, /an address is expected/],
];
for (const [what, config, message] of BROKEN)
  test(`settings with ${what} are refused by name`, () => {
    assert.throws(() => readConfig(config), { kind: "invalid", message });
  });
