/** COPY and ADD in all their forms, by a real engine. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Engine } from "../engine/engine.ts";
import { build, makeContext, type Wish } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";

/** What is below /out after these instructions, one line for each: mode, owner, path, content or link. */
async function tree(engine: Engine, text: string, wish: Wish = {}): Promise<string[]> {
  const list = `RUN cd /out && find . -mindepth 1 | sort | while read -r f; do if [ -L "$f" ]; then echo "link $f $(readlink "$f")"; elif [ -f "$f" ]; then echo "$(stat -c '%a %u:%g' "$f") $f $(cat "$f")"; else echo "$(stat -c '%a %u:%g' "$f") $f/"; fi; done`;
  const { output } = await build(engine, `FROM busybox\n${text}\n${list}\n`, wish);
  return output.split("\n").filter(Boolean);
}

async function serve(t: TestContext, files: Readonly<Record<string, Buffer | string>>): Promise<string> {
  const server = createServer((request, response) => {
    const file = files[request.url ?? ""];
    if (request.url === "/moved/to") response.writeHead(302, { Location: "/some/file" }).end();
    else if (file === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "Last-Modified": "Thu, 01 Jan 2015 00:00:00 GMT" }).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("files and folders land where Docker puts them", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, {
    "d/a": "a",
    "d/s/b": "b",
    f: "f",
    "g.txt": "g",
    link: "-> f",
    "d/l": "-> /etc/passwd",
  });
  chmodSync(join(root, "f"), 0o640);
  const context = { root };
  const at = (text: string) => tree(engine, text, { context });
  assert.deepEqual(await at("COPY d /out"), [
    "644 0:0 ./a a",
    "link ./l /etc/passwd",
    "755 0:0 ./s/",
    "644 0:0 ./s/b b",
  ]);
  assert.deepEqual(await at("COPY f /out/"), ["640 0:0 ./f f"]);
  assert.deepEqual(await at("COPY f /out/x/y"), ["755 0:0 ./x/", "640 0:0 ./x/y f"]);
  assert.deepEqual(await at("COPY *.txt f /out/"), ["640 0:0 ./f f", "644 0:0 ./g.txt g"]);
  assert.deepEqual(await at("COPY link /out/"), ["640 0:0 ./link f"]);
  assert.deepEqual(await at("WORKDIR /out\nCOPY d/s/b ."), ["644 0:0 ./b b"]);
  assert.deepEqual(await at("COPY --chmod=u=rwX,go= --chown=7:8 d/s /out/"), ["600 7:8 ./b b"]);
  assert.deepEqual(await at("COPY --chmod=604 --chown=9 d/s /out/n/"), ["604 9:9 ./n/", "604 9:9 ./n/b b"]);
  assert.deepEqual(await at("COPY --parents d/s/b f /out/"), [
    "755 0:0 ./d/",
    "755 0:0 ./d/s/",
    "644 0:0 ./d/s/b b",
    "640 0:0 ./f f",
  ]);
  assert.deepEqual(await at("COPY --parents d/./s/* /out/"), ["755 0:0 ./s/", "644 0:0 ./s/b b"]);
  assert.deepEqual(await at("COPY --exclude=s --exclude=l d /out"), ["644 0:0 ./a a"]);
  assert.deepEqual(await at("COPY <<one <<two /out/\n1\none\n2\ntwo"), ["644 0:0 ./one 1", "644 0:0 ./two 2"]);
});

test("what is there already is merged with, replaced, or followed", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { "d/s/new": "n", "d/old": "2", f: "f" });
  const base =
    "RUN mkdir -p /out/s /real && echo -n 1 > /out/old && echo -n k > /out/s/kept && chmod 700 /out/s && ln -s /real /out/to && ln -s s/kept /out/file";
  const at = (text: string) => tree(engine, `${base}\n${text}`, { context: { root } });
  assert.deepEqual(await at("COPY d /out"), [
    "link ./file s/kept",
    "644 0:0 ./old 2",
    "755 0:0 ./s/",
    "644 0:0 ./s/kept k",
    "644 0:0 ./s/new n",
    "link ./to /real",
  ]);
  assert.match((await at("COPY f /out/to/\nRUN cat /real/f > /out/seen")).join("\n"), /seen f/);
  assert.match((await at("COPY f /out/file")).join("\n"), /\.\/s\/kept f/);
  const linked = await at("COPY --link f /out/to/");
  assert.match(linked.join("\n"), /755 0:0 \.\/to\/\n644 0:0 \.\/to\/f f/);
});

test("owners and modes of a stage's files are kept, and hard links stay links", async (t) => {
  const { engine } = await startEngine(t);
  const text = `FROM busybox AS made
RUN mkdir -p /m/d && echo -n x > /m/d/x && ln /m/d/x /m/d/y && chown 5:6 /m/d/x && chmod 4711 /m/d/x && mkfifo /m/d/p && ln -s x /m/d/l
FROM busybox
COPY --from=made /m/d /out
RUN stat -c '%a %u:%g %h %F' /out/* && [ /out/x -ef /out/y ]
`;
  const { output } = await build(engine, text);
  assert.match(output, /^777 0:0 1 symbolic link\n644 0:0 1 fifo\n4711 5:6 2 regular file\n4711 5:6 2 regular file\n$/);
});

test("archives are unpacked by ADD, also compressed, and stay inside", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { "t/usr/f": "f", "t/l": "-> usr", "x.txt": "plain" });
  mkdirSync(join(root, "t/e"));
  for (const [name, flag] of [
    ["a.tar", ""],
    ["a.tgz", "z"],
    ["a.txz", "J"],
    ["a.tbz", "j"],
  ] as const)
    execFileSync("tar", [`-c${flag}f`, join(root, name), "-C", join(root, "t"), "."]);
  execFileSync("tar", ["-cPf", join(root, "evil.tar"), "--transform", "s,^,../../,", "-C", root, "x.txt"]);
  const at = (text: string) => tree(engine, text, { context: { root } });
  for (const name of ["a.tar", "a.tgz", "a.txz", "a.tbz"])
    assert.deepEqual(
      await at(`ADD ${name} /out`),
      ["755 0:0 ./e/", "link ./l usr", "755 0:0 ./usr/", "644 0:0 ./usr/f f"],
      name,
    );
  assert.deepEqual(await at("RUN mkdir -p /out/real && ln -s real /out/usr\nADD a.tgz /out/"), [
    "755 0:0 ./e/",
    "link ./l usr",
    "755 0:0 ./real/",
    "644 0:0 ./real/f f",
    "link ./usr real",
  ]);
  assert.match((await at("ADD --unpack=false a.tgz /out/")).join(), /\.\/a\.tgz/);
  assert.deepEqual(await at("ADD x.txt /out/"), ["644 0:0 ./x.txt plain"]);
  await assert.rejects(at("ADD evil.tar /out/"), /leads out of the destination/);
});

test("ADD fetches URLs, checks them, and knows unchanged ones", async (t) => {
  const harness = await startEngine(t);
  const { engine } = harness;
  const sum = createHash("sha256").update("content").digest("hex");
  const url = await serve(t, { "/some/file": "content", "/": "root" });
  assert.deepEqual(await tree(engine, `ADD ${url}/some/file /out/`), ["600 0:0 ./file content"]);
  assert.deepEqual(await tree(engine, `ADD --checksum=sha256:${sum} --chmod=644 ${url}/some/file /out/as`), [
    "644 0:0 ./as content",
  ]);
  const again = await build(engine, `FROM busybox\nADD ${url}/some/file /out/\n`);
  assert.deepEqual(again.ran, []);
  const stat = await build(engine, `FROM busybox\nADD ${url}/some/file /out/\nRUN stat -c %Y /out/file\n`);
  assert.equal(stat.output, "1420070400\n");
  assert.deepEqual(await tree(engine, `ADD ${url}/moved/to /out/`), ["600 0:0 ./to content"]);
  await assert.rejects(tree(engine, `ADD ${url}/none /out/`), /status 404/);
  await assert.rejects(tree(engine, `ADD ${url}/ /out/`), /cannot determine filename/);
  await assert.rejects(
    tree(engine, `ADD --checksum=sha256:${"0".repeat(64)} ${url}/some/file /out/`),
    /digest mismatch/,
  );
  await assert.rejects(tree(engine, "ADD http://127.0.0.1:1/x /out/"), /unable to download/);
  assert.deepEqual(
    readdirSync(join(harness.dataRoot, "tmp")).filter((name) => name.startsWith("fetched")),
    [],
  );
});

test("ADD checks out repositories", async (t) => {
  const { engine } = await startEngine(t);
  const folder = makeContext(t, { "repo/readme": "hi", "repo/sub/x": "x" });
  const repo = join(folder, "repo");
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", repo, "-c", "user.name=n", "-c", "user.email=e@e", ...args], {
      encoding: "utf8",
    }).trim();
  git("init", "-q", "-b", "main");
  git("add", ".");
  git("commit", "-qm", "first");
  git("update-server-info");
  const commit = git("rev-parse", "HEAD");
  const files: Record<string, Buffer> = {};
  for (const name of readdirSync(join(repo, ".git"), { recursive: true, encoding: "utf8" })) {
    try {
      files[`/repo.git/${name}`] = readFileSync(join(repo, ".git", name));
      files[`/repo.git/${name}?service=git-upload-pack`] = readFileSync(join(repo, ".git", name));
    } catch {
      // A folder.
    }
  }
  const url = await serve(t, files);
  const added = async (text: string) => (await tree(engine, text)).filter((line) => line !== commit);
  assert.deepEqual(await added(`ADD ${url}/repo.git#main /out/`), [
    "644 0:0 ./readme hi",
    "755 0:0 ./sub/",
    "644 0:0 ./sub/x x",
  ]);
  assert.deepEqual(await added(`ADD --checksum=${commit.slice(0, 8)} ${url}/repo.git#main:sub /out/`), [
    "644 0:0 ./x x",
  ]);
  await assert.rejects(tree(engine, `ADD --checksum=12345678 ${url}/repo.git /out/`), /expected checksum to match/);
});
