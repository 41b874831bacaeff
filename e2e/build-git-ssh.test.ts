/** Git repositories behind SSH as contexts and as sources of ADD: the keys stay at the client, and servers are known or refused. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli } from "./lib/cli.ts";
import { type GitSshServer, missingSshd, startGitSshServer } from "./lib/git-ssh-server.ts";

describe("Git over SSH", { skip: missingSshd() }, () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-build-git-"));
  let server: GitSshServer;
  let daemon: TestDaemon;
  let gantry: Cli;
  let count = 0;

  before(async () => {
    const source = join(root, "source");
    mkdirSync(join(source, "sub"), { recursive: true });
    writeFileSync(join(source, "f"), "at the top\n");
    writeFileSync(join(source, "sub", "f"), "below\n");
    writeFileSync(join(source, "Dockerfile"), "FROM busybox\nCOPY f /f\n");
    writeFileSync(join(source, "sub", "Dockerfile"), "FROM busybox\nCOPY f /f\n");
    server = await startGitSshServer(source);
    // The daemon takes no keys, and knows servers, from its machine.
    const bound = [
      "unshare",
      "-m",
      "sh",
      "-c",
      'mount --bind "$1" /etc/ssh && shift && exec "$@"',
      "sh",
      server.etcSsh,
    ];
    daemon = await startDaemon({ through: bound });
    gantry = new Cli("gantry", daemon);
  });
  after(async () => {
    await daemon?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  });

  const key = () => ["--ssh", `default=${server.key}`];
  const cat = async (path: string) => (await gantry.ok("run", "--rm", "--network", "none", "made", "cat", path)).trim();

  function folder(dockerfile: string): string {
    const made = join(root, String(count++));
    mkdirSync(made);
    writeFileSync(join(made, "Dockerfile"), dockerfile);
    return made;
  }

  test("a repository is the context, whole or a folder of it, at a branch or a tag", async () => {
    await gantry.ok("build", "-t", "made", ...key(), server.url);
    assert.equal(await cat("/f"), "at the top");
    await gantry.ok("build", "-t", "made", ...key(), `${server.url}#main:sub`);
    assert.equal(await cat("/f"), "below");
    await gantry.ok("build", "-t", "made", ...key(), `${server.url}#v1`);
    assert.equal(await cat("/f"), "at the top");
  });

  test("ADD takes one, and so do named contexts; no key, and no agent's socket, is left at the daemon", async () => {
    const add = folder(`FROM busybox\nADD ${server.url}#v1:sub /added\nADD --keep-git-dir=true ${server.url} /kept\n`);
    await gantry.ok("build", "-t", "made", ...key(), add);
    assert.equal(await cat("/added/f"), "below");
    assert.match(await cat("/kept/.git/HEAD"), /^[0-9a-f]{40}$|ref:/);
    const named = folder("FROM busybox\nCOPY --from=code sub/f /f\n");
    await gantry.ok("build", "-t", "made", ...key(), "--build-context", `code=${server.url}`, named);
    assert.equal(await cat("/f"), "below");
    assert.deepEqual(readdirSync(join(daemon.dataRoot, "tmp")), ["empty"]);
    const sockets = readdirSync(daemon.execRoot, { recursive: true }).filter((name) => String(name).endsWith(".sock"));
    assert.deepEqual(sockets, []);
  });

  test("without a key, with the wrong one, and where the server is unknown, the build says why and what helps", async () => {
    const add = folder(`FROM busybox\nADD ${server.url} /added\n`);
    for (const flags of [[server.url], [add], ["--ssh", `default=${server.otherKey}`, server.url]]) {
      const { code, out, err } = await gantry.run("build", "--no-cache", ...flags);
      assert.notEqual(code, 0);
      assert.match(out + err, /Permission denied \(publickey\)/);
      assert.match(out + err, /--ssh default/);
    }
    const unknown = await gantry.run("build", ...key(), server.url.replace("127.0.0.1", "localhost"));
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.err, /Host key verification failed/);
    assert.match(unknown.err, /known_hosts/);
  });
});
