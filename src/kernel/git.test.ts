import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checkOut } from "./git.ts";

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "gantry-git-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const git = (cwd: string, ...args: string[]) =>
  execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@y", "-c", "protocol.file.allow=always", ...args], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();

/** A repository with two commits on main, a branch and a tag. */
function repository(folder: string, name: string): { readonly path: string; readonly first: string } {
  const path = join(folder, name);
  mkdirSync(join(path, "sub"), { recursive: true });
  git(path, "init", "-q", "-b", "main");
  writeFileSync(join(path, "file"), "one");
  writeFileSync(join(path, "sub", "deep"), "deep");
  writeFileSync(join(path, "run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  git(path, "add", ".");
  git(path, "commit", "-qm", "first");
  const first = git(path, "rev-parse", "HEAD");
  git(path, "tag", "-a", "v1", "-m", "v1");
  git(path, "branch", "old");
  writeFileSync(join(path, "file"), "two");
  git(path, "commit", "-qam", "second");
  return { path, first };
}

/** git-daemon on the loopback. */
async function serve(t: TestContext, base: string): Promise<string> {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const args = ["daemon", "--export-all", "--listen=127.0.0.1", `--port=${port}`, `--base-path=${base}`, base];
  const child = spawn("git", args, { stdio: "ignore", detached: true });
  t.after(() => process.kill(-(child.pid as number), "SIGKILL"));
  for (let attempt = 0; attempt < 200; attempt++) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (up) return `git://127.0.0.1:${port}`;
    await sleep(25);
  }
  throw new Error("git daemon did not come up");
}

test("a branch, a tag, a commit and the default branch are checked out without their history", async (t) => {
  const folder = temporary(t);
  const { first } = repository(folder, "repo");
  const base = await serve(t, folder);
  const cases: readonly (readonly [string | undefined, string])[] = [
    [undefined, "two"],
    ["main", "two"],
    ["old", "one"],
    ["v1", "one"],
    ["refs/tags/v1", "one"],
    [first, "one"],
  ];
  for (const [ref, content] of cases) {
    const place = join(folder, `out-${ref?.replaceAll("/", "-")}`);
    const commit = await checkOut({ remote: `${base}/repo`, ref, folder: place });
    assert.match(commit, /^[0-9a-f]{40}$/);
    assert.equal(readFileSync(join(place, "file"), "utf8"), content, String(ref));
    assert.deepEqual(readdirSync(place).sort(), ["file", "run.sh", "sub"]);
  }
});

test("a server that cannot be shallow (plain files over http) is read whole", async (t) => {
  const folder = temporary(t);
  const { path, first } = repository(folder, "repo");
  git(folder, "clone", "-q", "--bare", path, "bare.git");
  git(join(folder, "bare.git"), "update-server-info");
  const server = createServer((request, response) => {
    const file = join(folder, new URL(request.url ?? "/", "http://x").pathname);
    if (!existsSync(file)) response.writeHead(404).end();
    else response.end(readFileSync(file));
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  const remote = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bare.git`;
  for (const [ref, content] of [
    [undefined, "two"],
    ["old", "one"],
    ["v1", "one"],
    [first, "one"],
  ] as const) {
    const place = join(folder, `http-${ref}`);
    await checkOut({ remote, ref, folder: place, keepGitDir: true });
    assert.equal(readFileSync(join(place, "file"), "utf8"), content);
    assert.ok(existsSync(join(place, ".git")));
  }
});

test("submodules come along, and local or invented transports do not", async (t) => {
  const folder = temporary(t);
  repository(folder, "lib");
  const { path } = repository(folder, "repo");
  const base = await serve(t, folder);
  git(path, "submodule", "--quiet", "add", `${base}/lib`, "vendor/lib");
  git(path, "commit", "-qm", "with lib");
  const place = join(folder, "out");
  await checkOut({ remote: `${base}/repo`, folder: place });
  assert.equal(readFileSync(join(place, "vendor/lib/file"), "utf8"), "two");
  assert.ok(!existsSync(join(place, "vendor/lib/.git")));
  git(path, "config", "-f", ".gitmodules", "submodule.vendor/lib.url", join(folder, "lib"));
  git(path, "commit", "-qam", "local path");
  await assert.rejects(checkOut({ remote: `${base}/repo`, folder: join(folder, "evil") }), { kind: "invalid" });
  for (const remote of [path, `file://${path}`, "ext::sh -c touch% /tmp/x", "--upload-pack=x"])
    await assert.rejects(checkOut({ remote, folder: join(folder, "none") }), { kind: "invalid" }, remote);
  assert.ok(!existsSync(join(folder, "none")));
});

test("what does not exist says so, and leaves nothing", async (t) => {
  const folder = temporary(t);
  repository(folder, "repo");
  const base = await serve(t, folder);
  await assert.rejects(checkOut({ remote: `${base}/repo`, ref: "nope", folder: join(folder, "a") }), {
    kind: "invalid",
    message: /unable to fetch git:.*nope/,
  });
  await assert.rejects(checkOut({ remote: `${base}/gone`, folder: join(folder, "b") }), { kind: "invalid" });
  const controller = new AbortController();
  controller.abort();
  await assert.rejects(checkOut({ remote: `${base}/repo`, folder: join(folder, "c"), signal: controller.signal }));
  assert.deepEqual(readdirSync(folder), ["repo"]);
});
