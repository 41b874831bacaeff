/** What goes in and out of builds, with the real CLIs against a real daemon: contexts of every kind, secrets, outputs, errors, endings. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { proportionalMemory, startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, collect, type Result } from "./lib/cli.ts";

describe("builds in and out", () => {
  let daemon: TestDaemon;
  let docker: Cli;
  let gantry: Cli;
  let root: string;
  let count = 0;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), "gantry-surfaces-"));
    daemon = await startDaemon();
    docker = new Cli("docker", daemon);
    gantry = new Cli("gantry", daemon);
  });
  after(async () => {
    rmSync(root, { recursive: true, force: true });
    await daemon[Symbol.asyncDispose]();
  });

  function folder(files: Readonly<Record<string, string | Buffer>>): string {
    const made = join(root, String(count++));
    mkdirSync(made);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(made, name)), { recursive: true });
      writeFileSync(join(made, name), content);
    }
    return made;
  }

  /** What lies in the daemon's temporary folder; "empty" is always there. */
  const temporary = () =>
    readdirSync(join(daemon.dataRoot, "tmp"))
      .filter((name) => name !== "empty")
      .join();

  /** Trees of containers and steps; the namespaces that wait for containers are no leak. */
  const mounts = () =>
    readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .filter((line) => line.includes(`${daemon.execRoot}/containers/`))
      .join("\n");

  const both = (): Cli[] => [docker, gantry];
  const cat = (image: string, path: string) => gantry.ok("run", "--rm", image, "cat", path);

  /** With further variables in the environment. */
  function runWith(env: Readonly<Record<string, string>>, cwd: string, ...args: string[]): Promise<Result> {
    const child = spawn(gantry.file, args, { cwd, env: { ...gantry.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    return collect(child);
  }

  test("a Dockerfile, or an archive in any compression, on standard input", async () => {
    const place = folder({
      Dockerfile: "FROM busybox\nCOPY f /f\n",
      f: "content",
      "other/D": "FROM busybox\nCOPY f /g\n",
    });
    const tar = execFileSync("tar", ["-C", place, "-c", "."]);
    const archives = [
      tar,
      gzipSync(tar),
      execFileSync("xz", ["-c"], { input: tar }),
      execFileSync("bzip2", { input: tar }),
    ];
    for (const cli of both()) {
      const alone = await cli.feed("FROM busybox\nRUN echo alone > /alone\n", "build", "-q", "-t", "alone", "-");
      assert.equal(alone.code, 0, alone.err);
      assert.equal(await cat("alone", "/alone"), "alone");
      for (const archive of archives) {
        const built = await cli.feed(archive, "build", "-t", "from-tar", "-");
        assert.equal(built.code, 0, built.err);
        assert.equal(await cat("from-tar", "/f"), "content");
      }
      const named = await cli.feed(tar, "build", "-t", "named", "-f", "other/D", "-");
      assert.equal(named.code, 0, named.err);
      assert.equal(await cat("named", "/g"), "content");
      const typed = await cli.feed("FROM busybox\nCOPY f /typed\n", "build", "-t", "typed", "-f", "-", place);
      assert.equal(typed.code, 0, typed.err);
      assert.equal(await cat("typed", "/typed"), "content");
    }
  });

  test("a Git repository and a URL, by the daemon", async (t) => {
    const place = folder({ "sub/Dockerfile": "FROM busybox\nCOPY f /f\n", "sub/f": "from git" });
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@y", ...args], { cwd: place, stdio: "ignore" });
    git("init", "-b", "main");
    git("add", ".");
    git("commit", "-m", "x");
    git("clone", "--bare", place, join(root, "repo.git"));
    execFileSync("git", ["update-server-info"], { cwd: join(root, "repo.git") });
    const tar = execFileSync("tar", ["-C", join(place, "sub"), "-c", "."]);
    const server = createServer((request, response) => {
      if (request.url === "/ctx.tar.gz") return response.end(gzipSync(tar));
      if (request.url === "/Dockerfile") return response.end("FROM busybox\nRUN echo by-url > /u\n");
      const file = join(root, new URL(request.url ?? "/", "http://x").pathname);
      return existsSync(file) ? response.end(readFileSync(file)) : response.writeHead(404).end();
    }).listen(0, "127.0.0.1");
    t.after(() => server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const [url, path, content] of [
      [`${base}/repo.git#main:sub`, "/f", "from git"],
      [`${base}/ctx.tar.gz`, "/f", "from git"],
      [`${base}/Dockerfile`, "/u", "by-url"],
    ] as const) {
      assert.equal((await gantry.run("build", "-t", "remote", url)).code, 0, url);
      assert.equal(await cat("remote", path), content, url);
      const answer = await daemon.call<string>("POST", `/build?t=api&remote=${encodeURIComponent(url)}`);
      assert.match(JSON.stringify(answer), /Successfully built/, url);
    }
    const none = await gantry.run("build", `${base}/none.git`);
    assert.equal(none.code, 1);
    assert.match(none.err, /unable to fetch/);
  });

  test("named contexts: a folder, an image, an OCI layout", async () => {
    const place = folder({ Dockerfile: "FROM base\nCOPY --from=files f /f\nCOPY --from=img /made /from-image\n" });
    const files = folder({ f: "named", ".dockerignore": "ignored", ignored: "x" });
    await gantry.feed("FROM busybox\nRUN echo made > /made\n", "build", "-t", "img", "-");
    const layout = join(root, "layout");
    await gantry.feed("FROM busybox\nRUN echo base > /base\n", "build", "-o", `type=oci,tar=false,dest=${layout}`, "-");
    const flags = ["--build-context", `files=${files}`, "--build-context", "img=docker-image://img"];
    const built = await gantry.run(
      "build",
      ...flags,
      "--build-context",
      `base=oci-layout://${layout}`,
      "-t",
      "n",
      place,
    );
    assert.equal(built.code, 0, built.err);
    assert.equal(await gantry.ok("run", "--rm", "n", "cat", "/f", "/from-image", "/base"), "namedmade\nbase");
    assert.match((await gantry.run("build", "--build-context", "x", place)).err, /expected key=value/);
  });

  test("only what changed since the last build is sent, and the cache goes by content", async () => {
    const place = folder({
      Dockerfile: "FROM busybox\nCOPY . /c\nRUN echo ran\n",
      a: "1",
      "d/b": "2",
      big: Buffer.alloc(3 << 20, 1),
    });
    const build = async () => (await gantry.run("build", "--progress", "plain", "-t", "inc", place)).err;
    assert.match(await build(), /COPY[^\n]*\n(?:(?!CACHED)[\s\S])*ran/);
    const kept = join(daemon.dataRoot, "contexts");
    const inode = () => {
      const tree = readdirSync(kept).find((id) => existsSync(join(kept, id, "tree", "d", "b"))) as string;
      return statSync(join(kept, tree, "tree", "big")).ino;
    };
    const first = inode();
    const now = new Date();
    execFileSync("touch", [join(place, "a")]);
    assert.match(await build(), /COPY[^\n]*\n#\d+ CACHED/, `a touch at ${now.toISOString()} missed`);
    writeFileSync(join(place, "d/b"), "3");
    assert.doesNotMatch(await build(), /COPY[^\n]*\n#\d+ CACHED/);
    assert.equal(inode(), first);
    assert.equal(await cat("inc", "/c/d/b"), "3");
  });

  test("secrets and agents are asked for by steps, and stay out of the image", async (t) => {
    const place = folder({
      Dockerfile: `FROM busybox
RUN --mount=type=secret,id=file cat /run/secrets/file > /len && wc -c < /len > /n && rm /len
RUN --mount=type=secret,id=env,env=TOKEN test "$TOKEN" = from-env
RUN --mount=type=secret,id=missing test ! -e /run/secrets/missing
RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK"
`,
    });
    writeFileSync(join(root, "secret"), "top-secret");
    const socket = join(root, "agent.sock");
    const agent = createSocket((client) => client.on("data", (data) => client.end(data))).listen(socket);
    t.after(() => agent.close());
    const built = await runWith(
      { SECRET_VALUE: "from-env", SSH_AUTH_SOCK: socket },
      root,
      ...["build", "--secret", "id=file,src=secret", "--secret", "id=env,env=SECRET_VALUE", "--ssh", "default"],
      ...["-t", "secret", place],
    );
    assert.equal(built.code, 0, built.err);
    assert.equal(await cat("secret", "/n"), "10");
    const saved = JSON.stringify(await daemon.call("GET", "/images/secret/json"));
    assert.doesNotMatch(saved, /top-secret|from-env/);
    const refused = await gantry.run("build", "--secret", "id=x,src=/no/such", place);
    assert.match(refused.err, /secret x: .*no such file/);
  });

  test("products go to folders, archives and standard output", async () => {
    const place = folder({
      Dockerfile:
        "FROM busybox AS b\nRUN mkdir /o && echo made > /o/f && ln -s f /o/l\nFROM scratch\nCOPY --from=b /o /o\n",
    });
    const at = (name: string) => join(root, name);
    await gantry.ok("build", "-o", at("out"), place);
    assert.equal(readFileSync(at("out/o/l"), "utf8"), "made\n");
    await gantry.ok("build", "-o", `type=tar,dest=${at("out.tar")}`, place);
    assert.match(execFileSync("tar", ["tf", at("out.tar")], { encoding: "utf8" }), /^o\/\no\/f\no\/l\n$/);
    const child = collect(gantry.spawn(["build", "-o", "-", place]));
    assert.equal((await child).code, 0);
    for (const [type, files] of [
      ["docker", ["manifest.json", "index.json"]],
      ["oci", ["oci-layout", "index.json"]],
    ] as const) {
      const file = at(`${type}.tar`);
      await gantry.ok("build", "-t", "exported:1", "-o", `type=${type},dest=${file}`, place);
      const listed = execFileSync("tar", ["tf", file], { encoding: "utf8" });
      for (const name of files) assert.ok(listed.includes(name), `${type} has no ${name}`);
      assert.match((await gantry.run("image", "inspect", "exported:1")).err, /No such image/);
      await gantry.ok("load", "-i", file);
      assert.match(await gantry.ok("images", "-q", "exported:1"), /[0-9a-f]{12}/);
      await gantry.ok("rmi", "exported:1");
    }
    const [id, metadata] = [at("id"), at("metadata")];
    const printed = await gantry.ok("build", "-q", "-t", "files", "--iidfile", id, "--metadata-file", metadata, place);
    assert.equal(readFileSync(id, "utf8"), printed);
    const facts = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, string>;
    assert.equal(facts["containerimage.config.digest"], printed);
    for (const [words, message] of [
      ["type=nope,dest=x", /exporter "nope" could not be found/],
      ["type=local", /dest is required/],
      ["type=tar,dest=x,bad=1", /no option "bad"/],
    ] as const)
      assert.match((await gantry.run("build", "-o", words, place)).err, message);
  });

  test("a failed step says where, what and how", async () => {
    const place = folder({ Dockerfile: "FROM busybox\nRUN echo before && exit 7\n" });
    for (const cli of both()) {
      const { code, err, out } = await cli.run("build", place);
      assert.equal(code, 7);
      assert.match(out + err, /before/);
      assert.match(err, /Dockerfile:2\n-+\n +1 \| +FROM busybox\n +2 \| >>> RUN echo before && exit 7\n-+/);
      assert.match(err, /exit code: 7|non-zero code: 7/);
    }
    assert.equal((await gantry.run("build", "-q", place)).out, "");
  });

  test("limits, networks and hosts reach the steps", async () => {
    const place = folder({
      Dockerfile:
        "FROM busybox\nRUN echo $(ulimit -n) $(df -k /dev/shm | awk 'END{print $2}') $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null) $(grep -c named.example /etc/hosts) $(ls /sys/class/net)\n",
    });
    const limits = [
      "-m",
      "64m",
      "--ulimit",
      "nofile=77:88",
      "--shm-size",
      "10m",
      "--add-host",
      "named.example:1.2.3.4",
    ];
    for (const cli of both()) {
      const { code, out, err } = await cli.run("build", "--no-cache", "--network", "none", ...limits, place);
      assert.equal(code, 0, err);
      assert.match(out + err, /77 10240 67108864 1 lo\n/);
    }
  });

  test("with SOURCE_DATE_EPOCH the same inputs give the same digest", async () => {
    const place = folder({
      Dockerfile: 'FROM busybox\nCOPY f /f\nRUN mkdir /d && date > /dev/null && echo x > /d/x\nCMD ["x"]\n',
      f: "1",
    });
    const once = async () =>
      (await runWith({ SOURCE_DATE_EPOCH: "1000" }, root, "build", "-q", "--no-cache", place)).out;
    const id = await once();
    assert.match(id, /^sha256:/);
    execFileSync("touch", [join(place, "f")]);
    assert.equal(await once(), id);
    assert.equal((await runWith({ SOURCE_DATE_EPOCH: "1000" }, root, "build", "--verify", place)).code, 0);
    const { code, err } = await gantry.run("build", "--verify", place);
    assert.equal(code, 1);
    assert.match(err, /The two builds differ:\n - configuration created: /);
  });

  test("the cache is shown and pruned", async () => {
    const place = folder({
      Dockerfile: "FROM busybox\nRUN --mount=type=cache,target=/c echo x > /c/x\nRUN echo y > /y\n",
    });
    for (const cli of both()) {
      await gantry.ok("build", "-q", place);
      assert.match(await cli.ok("system", "df"), /Build Cache +[1-9]/);
      assert.match(await cli.ok("system", "df", "-v"), /exec.cachemount/);
      assert.match(await cli.ok("builder", "prune", "-af", "--filter", "until=24h"), /Total reclaimed space: 0B/);
      await cli.ok("network", "prune", "-f", "--filter", "until=24h");
      assert.match(
        await cli.ok("builder", "prune", "-af"),
        /Deleted build cache objects:\n[\s\S]*Total reclaimed space: [^0]/,
      );
      assert.match(await cli.ok("system", "df"), /Build Cache +0 +0 +0B +0B/);
    }
    assert.match((await gantry.run("build", "--provenance=true", place)).err, /attestations are not supported/);
    assert.equal((await gantry.run("build", "--provenance=false", "--call", "check", place)).code, 0);
  });

  test("a cache goes to a folder and comes back from it; squashing makes one layer", async () => {
    const place = folder({ Dockerfile: "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n" });
    const cache = join(root, "cache");
    await gantry.ok("build", "-q", "-t", "plain", "--cache-to", `type=local,dest=${cache},mode=max`, place);
    assert.ok(existsSync(join(cache, "index.json")));
    await gantry.ok("rmi", "plain");
    await gantry.ok("builder", "prune", "-af");
    const again = await gantry.run("build", "--progress", "plain", "--cache-from", `type=local,src=${cache}`, place);
    assert.match(again.err, /RUN echo two > \/two\n(?:#\d+ [^\n]*\n)*#\d+ CACHED/);
    await gantry.ok("build", "-q", "--squash", "-t", "squashed", place);
    const { RootFS } = await daemon.call<{ RootFS: { Layers: string[] } }>("GET", "/images/squashed/json");
    assert.equal(RootFS.Layers.length, 2);
    assert.equal(await gantry.ok("run", "--rm", "squashed", "cat", "/one", "/two"), "one\ntwo");
  });

  test("hostile contexts are refused, and harm nothing", async () => {
    const place = folder({ Dockerfile: "FROM busybox\nCOPY link /x\n" });
    symlinkSync("/etc/passwd", join(place, "link"));
    for (const cli of both()) {
      const { code, err } = await cli.run("build", "-t", "hostile", place);
      // The link is copied as a link or not found: what it points to on this machine never is.
      if (code === 0) assert.doesNotMatch((await gantry.run("run", "--rm", "hostile", "cat", "/x")).out, /gantry-host/);
      else assert.match(err, /link/);
    }
    const up = folder({ Dockerfile: "FROM busybox\nCOPY ../../etc/passwd /stolen\n" });
    for (const cli of both()) assert.notEqual((await cli.run("build", up)).code, 0);
    const fifo = folder({ Dockerfile: "FROM busybox\nCOPY . /c\n" });
    execFileSync("mkfifo", [join(fifo, "pipe")]);
    for (const cli of both()) {
      const { code, err } = await cli.run("build", fifo);
      assert.notEqual(code, 0);
      assert.match(err, /named pipe/);
    }
    const socket = folder({ Dockerfile: "FROM busybox\nCOPY . /c\n" });
    const server = createSocket().listen(join(socket, "s"));
    await new Promise((resolve) => server.once("listening", resolve));
    for (const cli of both()) assert.equal((await cli.run("build", socket)).code, 0);
    server.close();
    for (const lines of [10_000_000, 2_000_000]) {
      const long = folder({ Dockerfile: `FROM busybox\n${"#\n".repeat(lines)}` });
      for (const cli of both()) {
        const { code, err } = await cli.run("build", long);
        assert.notEqual(code, 0);
        assert.match(err, /bytes, at most|exceeds maximum allowed size/);
      }
    }
    assert.equal((await daemon.call<string>("GET", "/_ping")).trim(), "OK");
  });

  test("a large context does not take as much memory", async () => {
    const place = folder({ Dockerfile: "FROM scratch\nCOPY small /\n", small: "s" });
    execFileSync("truncate", ["-s", "600M", join(place, "large")]);
    const before = proportionalMemory(daemon.pid);
    let peak = 0;
    const watch = setInterval(() => {
      peak = Math.max(peak, proportionalMemory(daemon.pid));
    }, 50);
    for (const cli of both()) assert.equal((await cli.run("build", place)).code, 0);
    clearInterval(watch);
    assert.ok(peak - before < 250 * 1024, `grew by ${Math.round((peak - before) / 1024)} MiB`);
  });

  test("when the client goes its build ends, and leaves nothing", async () => {
    const place = folder({ Dockerfile: `FROM busybox\nRUN echo started && sleep ${NAP}\n` });
    for (const cli of both()) {
      const child = cli.spawn(["build", "--no-cache", place]);
      const seen = collect(child);
      await until(() => sleepers().length > 0);
      child.kill("SIGINT");
      const { code } = await seen;
      assert.notEqual(code, 0);
      await until(() => sleepers().length === 0);
    }
    await until(() => temporary().length === 0, temporary);
  });

  test("a daemon that is killed during a build leaks nothing past its next start", async () => {
    const place = folder({ Dockerfile: `FROM busybox\nRUN sleep ${NAP}\n`, f: "x" });
    for (const cli of both()) {
      const child = cli.spawn(["build", "--no-cache", place]);
      const seen = collect(child);
      await until(() => sleepers().length > 0);
      await daemon.kill();
      assert.notEqual((await seen).code, 0);
      await daemon.start();
      await until(() => sleepers().length === 0);
      await until(() => temporary().length === 0, temporary);
      await until(() => mounts().length === 0, mounts);
      assert.equal((await cli.run("build", "-f", "-", place)).code, 1);
    }
    assert.deepEqual(await daemon.call("GET", "/containers/json?all=1"), []);
  });
});

/** Seconds that nobody else's processes sleep. */
const NAP = 100_000 + process.pid;

/** Processes of steps under way. */
function sleepers(): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1") === `sleep\u0000${NAP}\u0000`;
    } catch {
      return false;
    }
  });
}

async function until(done: () => boolean, state: () => string = () => ""): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    if (done()) return;
    await sleep(20);
  }
  throw new Error(`waited in vain: ${state()}`);
}
