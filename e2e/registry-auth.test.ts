/** Registries that want to know who asks: passwords, tokens, credential helpers, by the docker CLI and by gantry. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { type DebianRegistry, startDebianRegistry } from "../src/testing/debian-registry.ts";
import { startTokenServer, type TokenServer } from "../src/testing/token-server.ts";
import type { Cli } from "./lib/cli.ts";
import { withEachCli } from "./lib/own-daemon.ts";

/** ann, secret. */
const HTPASSWD = "ann:$2y$04$p4LoeaVBHdJ0GoCFUEAaiOLCIITBRxjSVFI43QFbAbGcH76kFf0cy\n";

withEachCli((cli, daemon) => {
  const { name } = cli;
  const folder = mkdtempSync(join(tmpdir(), "gantry-auth-"));
  let basic: DebianRegistry;
  let bearer: DebianRegistry;
  let tokens: TokenServer;
  const run = (...args: string[]) => cli.run(...args);
  const ok = (...args: string[]) => cli.ok(...args);
  const configPath = () => join(daemon.folder, ".docker", "config.json");
  const config = () => JSON.parse(readFileSync(configPath(), "utf8"));
  before(async () => {
    tokens = await startTokenServer(folder, {
      users: { ann: "secret", bob: "other" },
      allows: (user, repository, action) => user === "ann" || (action === "pull" && repository.startsWith("open/")),
    });
    basic = await startDebianRegistry({ htpasswd: HTPASSWD });
    bearer = await startDebianRegistry({ token: tokens });
  });
  after(async () => {
    for (const one of [basic, bearer, tokens]) await one?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => rmSync(join(daemon.folder, ".docker"), { recursive: true, force: true }));

  const login = (host: string, user = "ann", password = "secret") =>
    cli.feed(`${password}\n`, "login", "-u", user, "--password-stdin", host);

  test("login checks the password, keeps it in config.json, and logout forgets it", async () => {
    const wrong = await login(basic.host, "ann", "wrong");
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /unauthorized: incorrect username or password/);
    const { code, out, err } = await login(basic.host);
    assert.deepEqual([code, out], [0, "Login Succeeded"]);
    assert.match(err, /WARNING! Your credentials are stored unencrypted in '.*config\.json'/);
    assert.deepEqual(config().auths, { [basic.host]: { auth: Buffer.from("ann:secret").toString("base64") } });
    assert.match(await ok("logout", basic.host), /^Removing login credentials for localhost:\d+$/);
    assert.deepEqual(config().auths ?? {}, {});
    assert.match(await ok("logout", basic.host), /^(Not logged in to|Removing login credentials for) localhost:\d+$/);
  });

  test("basic authentication: nothing without a login, push and pull with one", async () => {
    const image = `${basic.host}/team/box:1`;
    await ok("tag", "busybox", image);
    const refused = await run("push", image);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /unauthorized: authentication required|no basic auth credentials/);
    await login(basic.host);
    await ok("push", "-q", image);
    assert.equal(await ok("pull", "-q", image), image);
    await ok("logout", basic.host);
    assert.match((await run("pull", image)).err, /pull access denied for .*team\/box, .*docker login|unauthorized/);
  });

  test("tokens: just the scopes that are needed; anonymous where that is allowed; denied in Docker's words", async () => {
    await login(bearer.host);
    const [open, closed] = [`${bearer.host}/open/${name}:1`, `${bearer.host}/closed/${name}:1`];
    for (const image of [open, closed]) {
      await ok("tag", "busybox", image);
      await ok("push", "-q", image);
    }
    const pushed = tokens.seen.flatMap(({ scopes }) => scopes);
    assert.ok(pushed.includes(`repository:open/${name}:pull,push`), pushed.join(" "));
    assert.ok(
      tokens.seen.some(({ scopes }) => scopes.includes(`repository:open/${name}:pull`) && scopes.length > 1),
      "a mount asks for the source too",
    );
    await ok("logout", bearer.host);
    tokens.seen.length = 0;
    await ok("pull", "-q", open);
    assert.deepEqual([...new Set(tokens.seen.map(({ account }) => account))], [undefined]);
    const denied = await run("pull", closed);
    assert.equal(denied.code, 1);
    assert.match(denied.err, /pull access denied for .*, repository does not exist or may require 'docker login'/);
    await login(bearer.host, "bob", "other");
    const push = await run("push", open);
    assert.equal(push.code, 1);
    assert.match(push.err, /denied|unauthorized/);
  });

  test("an identity token of the server takes the password's place", async () => {
    await login(bearer.host);
    const entry = config().auths[bearer.host];
    assert.equal(entry.identitytoken, "refresh-ann");
    assert.ok(!JSON.stringify(entry).includes(Buffer.from("ann:secret").toString("base64")));
    const image = `${bearer.host}/identity/${name}:1`;
    await ok("tag", "busybox", image);
    tokens.seen.length = 0;
    await ok("push", "-q", image);
    assert.ok(tokens.seen.some(({ grant, account }) => grant === "refresh_token" && account === "ann"));
  });

  for (const [kind, setting] of [
    ["helper", () => ({ credHelpers: { [basic.host]: "test" } })],
    ["store", () => ({ credsStore: "test" })],
  ] as const)
    test(`a credential ${kind} keeps the secret, and config.json only its name`, async () => {
      const bin = join(daemon.folder, "bin");
      mkdirSync(bin, { recursive: true });
      const kept = join(bin, "kept");
      const helper = join(bin, "docker-credential-test");
      writeFileSync(
        helper,
        `#!/bin/sh\ncase $1 in store) cat > ${kept};; erase) rm -f ${kept};; get) [ -f ${kept} ] && cat ${kept} || { echo credentials not found in native keychain; exit 1; };; esac\n`,
      );
      chmodSync(helper, 0o755);
      mkdirSync(join(daemon.folder, ".docker"), { recursive: true });
      writeFileSync(configPath(), JSON.stringify({ ...setting(), other: { kept: true } }));
      const withHelper = cli as Cli;
      const env = { ...withHelper.env, PATH: `${bin}:${withHelper.env.PATH}` };
      const tried = Object.assign(Object.create(withHelper) as Cli, { env });
      const { code, err } = await tried.feed("secret\n", "login", "-u", "ann", "--password-stdin", basic.host);
      assert.deepEqual([code, /unencrypted/.test(err)], [0, false]);
      assert.deepEqual(JSON.parse(readFileSync(kept, "utf8")), {
        ServerURL: basic.host,
        Username: "ann",
        Secret: "secret",
      });
      assert.deepEqual(config().auths?.[basic.host] ?? {}, {});
      if (name === "gantry") assert.deepEqual(config().other, { kept: true });
      const image = `${basic.host}/${kind}/${name}:1`;
      await ok("tag", "busybox", image);
      await tried.ok("push", "-q", image);
      await tried.ok("logout", basic.host);
      assert.equal(existsSync(kept), false);
    });
});
