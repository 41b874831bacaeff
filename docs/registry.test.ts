/** The examples of registry.md: its commands are typed, its settings served, with real clients. */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { startRegistryProcess } from "../e2e/lib/registry-process.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { freePort } from "../src/testing/free-port.ts";

const ROOT = join(import.meta.dirname, "..");
const GANTRY = join(ROOT, "bin", "gantry");
const PAGE = readFileSync(join(import.meta.dirname, "registry.md"), "utf8");
const skip = process.getuid?.() === 0 ? false : "needs root";
const run = promisify(execFile);

const blocks = (kind: string) =>
  [...PAGE.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, "gms"))].map((match) => match[1] ?? "");
/** The only one that has this key. */
const settingsWith = (key: string): Record<string, unknown> => {
  const [found, ...others] = blocks("json")
    .map((text) => JSON.parse(text))
    .filter((value) => key in value);
  assert.ok(found !== undefined && others.length === 0, key);
  return found;
};

let daemon: TestDaemon;
let env: Record<string, string>;
const at = (...parts: string[]) => join(daemon.folder, ...parts);
const docker = async (...args: string[]) => (await run("docker", args, { env })).stdout;
const serve = (settings: object, ...flags: string[]) => {
  writeFileSync(at("registry.json"), JSON.stringify(settings));
  return startRegistryProcess("--config", at("registry.json"), ...flags);
};
function addUser(name: string): void {
  const args = ["registry", "htpasswd", "--password-stdin", "--cost", "4", "--file", at("users"), name];
  assert.equal(spawnSync(GANTRY, args, { input: `${name}'s\n` }).status, 0);
}

before(async () => {
  if (skip !== false) return;
  daemon = await startDaemon();
  mkdirSync(at("bin"));
  symlinkSync(GANTRY, at("bin", "gantry"));
  env = { PATH: `${at("bin")}:${process.env.PATH}`, HOME: daemon.folder, DOCKER_HOST: daemon.host };
});
after(() => daemon?.[Symbol.asyncDispose]());

test("every example is tried here", () => {
  assert.deepEqual([blocks("sh").length, blocks("json").length], [2, 4]);
});

test("the first commands serve a registry, push to it, and show its page", { skip }, async () => {
  const port = await freePort();
  await docker("tag", "busybox", `localhost:${port}/team/app:1`);
  typed(
    blocks("sh")[0] ?? "",
    port,
    `curl -sSfL localhost:${port}/ | grep -q html; curl -sSf localhost:${port}/healthz`,
  );
});

test("the commands for users make one, who pushes over TLS, while anyone pulls", { skip }, async () => {
  const port = await freePort();
  const files = ["-keyout", at("tls.key"), "-out", at("tls.crt"), "-days", "2", "-nodes", "-newkey", "rsa:2048"];
  const names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  execFileSync("openssl", ["req", "-x509", ...files, ...names], { stdio: "ignore" });
  const commands = (blocks("sh")[1] ?? "")
    .replace(/htpasswd --file users alice.*/, "htpasswd --password-stdin --file users alice <<< secret")
    .replace(/^(gantry registry serve .*)$/m, `$1 --listen 127.0.0.1:${port} --root users-root &`);
  const image = `localhost:${port}/team/app:1`;
  await docker("tag", "busybox", image);
  const then = `! docker push ${image} && docker login -u alice -p secret localhost:${port} && docker push ${image}
    docker logout localhost:${port} && docker rmi ${image} && docker pull ${image}`;
  typed(commands, port, then);
});

test("the rules for users let in whom they name", { skip }, async () => {
  for (const user of ["alice", "carol"]) addUser(user);
  const { auth } = settingsWith("auth") as { auth: Record<string, unknown> };
  await using serving = await serve({ auth: { ...auth, htpasswd: at("users") } }, "--root", at("rules-root"));
  const host = serving.host.replace("127.0.0.1", "localhost");
  const push = async (user: string, name: string) => {
    await docker("login", "-u", user, "-p", `${user}'s`, host);
    await docker("tag", "busybox", `${host}/${name}`);
    await docker("push", `${host}/${name}`);
  };
  await push("alice", "team/app:1");
  await assert.rejects(push("carol", "team/app:2"), /denied/);
  await docker("logout", host);
  await assert.rejects(docker("pull", `${host}/team/app:1`), /denied|unauthorized/);
  await assert.rejects(docker("pull", `${host}/public/app:1`), /not found|manifest unknown/);
});

test("gc counts, and takes away what the retention rules say", { skip }, async () => {
  const settings = settingsWith("retention");
  await using serving = await serve(settings, "--root", at("gc-root"));
  const host = serving.host.replace("127.0.0.1", "localhost");
  for (const tag of ["v1", "pr-1"]) {
    await docker("tag", "busybox", `${host}/ci/app:${tag}`);
    await docker("push", `${host}/ci/app:${tag}`);
  }
  const gc = async (...flags: string[]) =>
    (await run(GANTRY, ["registry", "gc", "--root", at("gc-root"), ...flags])).stdout;
  assert.match(await gc("--dry-run"), /^Would remove 0 tags/);
  assert.match(await gc(), /^Removed 0 tags, 0 manifests, 0 blobs/);
});

test("the cache fetches what is missing by the name of the registry that it is a copy of", { skip }, async () => {
  await using origin = await startRegistryProcess("--root", at("origin-root"));
  const from = origin.host.replace("127.0.0.1", "localhost");
  await docker("tag", "busybox", `${from}/library/alpine:latest`);
  await docker("push", `${from}/library/alpine:latest`);
  const { upstreams } = settingsWith("upstreams") as { upstreams: [Record<string, unknown>] };
  const [{ prefix }] = upstreams;
  await using cache = await serve(
    { upstreams: [{ prefix, url: `http://${origin.host}` }] },
    "--root",
    at("cache-root"),
  );
  const host = cache.host.replace("127.0.0.1", "localhost");
  const [, name = ""] = /`docker pull localhost:5000\/(\S+)`/.exec(PAGE) ?? [];
  assert.match(await docker("pull", `${host}/${name}`), /Status: /);
});

test("the daemon's configuration serves a registry inside it", { skip }, async () => {
  const port = await freePort();
  const text = JSON.stringify(settingsWith("registry")).replace(":5000", `:${port}`);
  writeFileSync(at("daemon.json"), text);
  await using other = await startDaemon({ flags: ["--config-file", at("daemon.json")] });
  const ask = (...args: string[]) => run("docker", args, { env: { ...env, DOCKER_HOST: other.host } });
  await ask("tag", "busybox", `localhost:${port}/app`);
  await ask("push", `localhost:${port}/app`);
});

test("each setting of the table is one, with the values that it shows", { skip }, async () => {
  const section = PAGE.slice(PAGE.indexOf("| key |"), PAGE.indexOf("## Users"));
  const keys = [...section.matchAll(/^\| (`.*?`(?:, `.*?`)*) \|/gm)].flatMap(
    (row) => (row[1] ?? "").match(/[\w-]+/g) ?? [],
  );
  const { stderr } = spawnSync(GANTRY, ["registry", "serve", "--config", unknownKey()], { encoding: "utf8" });
  for (const key of keys) assert.match(stderr, new RegExp(`\\b${key}\\b`));
  assert.equal(new Set(keys).size, 12);
});

/** A file whose refusal names every setting that there is. */
function unknownKey(): string {
  writeFileSync(at("wrong.json"), JSON.stringify({ nonsense: 1 }));
  return at("wrong.json");
}

/** Types commands, of which the first begins the registry, and more once it listens. */
function typed(commands: string, port: number, then: string): void {
  const wait = `for i in $(seq 400); do (echo > /dev/tcp/127.0.0.1/${port}) 2>/dev/null && break; sleep 0.05; done`;
  const background = `& server=$!; trap 'kill $server; wait $server' EXIT; ${wait}`;
  const script = commands
    .replaceAll(":5000", `:${port}`)
    .replace("/srv/registry", "registry-root")
    .replace(/^(gantry registry serve .*?)(?: &)?$/m, `$1 ${background}`);
  const { status, stdout, stderr } = spawnSync("bash", ["-ec", `${script}\n${then}`], {
    encoding: "utf8",
    cwd: daemon.folder,
    timeout: 120_000,
    env,
  });
  assert.equal(status, 0, `${script}\n${stdout}\n${stderr}`);
}
