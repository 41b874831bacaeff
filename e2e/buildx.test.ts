/** The real Buildx and Compose, as users have them: builds, Bake, Compose's services, through the `docker` driver. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { collect, missing } from "./lib/cli.ts";

const FOLDERS = [
  join(import.meta.dirname, "..", "node_modules", ".cache", "cli-plugins"),
  join(homedir(), ".docker", "cli-plugins"),
  ...["/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker"].map((path) => join(path, "cli-plugins")),
];

const plugin = (name: string): string | undefined => FOLDERS.map((folder) => join(folder, name)).find(existsSync);
const [buildx, compose] = [plugin("docker-buildx"), plugin("docker-compose")];

const skip =
  missing("docker") || (buildx === undefined || compose === undefined ? "no Buildx and Compose here" : false);

describe("the plug-ins", { skip }, () => {
  let daemon: TestDaemon;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "gantry-buildx-"));
    mkdirSync(join(folder, "config", "cli-plugins"), { recursive: true });
    symlinkSync(buildx ?? "", join(folder, "config", "cli-plugins", "docker-buildx"));
    symlinkSync(compose ?? "", join(folder, "config", "cli-plugins", "docker-compose"));
    daemon = await startDaemon();
  });
  after(async () => {
    await daemon?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  /** In a folder with these files. */
  async function docker(words: readonly string[], files: Readonly<Record<string, string>> = {}, input = "") {
    const cwd = mkdtempSync(join(folder, "context-"));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(cwd, path, ".."), { recursive: true });
      writeFileSync(join(cwd, path), text);
    }
    const { PATH = "" } = process.env;
    const env = { PATH, HOME: folder, DOCKER_HOST: daemon.host, DOCKER_CONFIG: join(folder, "config"), TOKEN: "tok" };
    const child = spawn("docker", words, { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.end(input);
    return { ...(await collect(child)), cwd };
  }

  const build = (words: readonly string[], files: Readonly<Record<string, string>> = {}, input = "") =>
    docker(["buildx", "build", "--progress=plain", ...words], files, input);

  test("the default builder is the daemon itself", async () => {
    const { out, code, err } = await docker(["buildx", "inspect"]);
    assert.equal(code, 0, err);
    assert.match(out, /Driver:\s+docker\n.*Status:\s+running/s);
  });

  test("docker build goes this way, and a second one is cached", async () => {
    const files = {
      Dockerfile: "FROM busybox\nARG V\nCOPY f /f\nRUN echo got $V $(cat /f)\n",
      f: "file",
      ".dockerignore": "g",
      g: "",
    };
    const first = await docker(["build", "--progress=plain", "--build-arg", "V=7", "-t", "way:1", "."], files);
    assert.match(first.err, /got 7 file/);
    assert.match(first.err, /naming to docker.io\/library\/way:1 done/);
    const second = await docker(["build", "--progress=plain", "--build-arg", "V=7", "-t", "way:2", "."], files);
    assert.match(second.err, /RUN echo got .*\n#\d+ CACHED/);
  });

  test("failures are told with the lines of the Dockerfile", async () => {
    const { code, err } = await build(["."], { Dockerfile: "FROM busybox\nRUN echo why; exit 3\n" });
    assert.equal(code, 1);
    assert.match(err, /ERROR: process "\/bin\/sh -c echo why; exit 3" did not complete successfully: exit code: 3/);
    assert.match(err, /Dockerfile:2\n-{20}\n.*\n {3}2 \| >>> RUN echo why; exit 3/);
  });

  test("secrets, contexts by name, targets, Dockerfiles from standard input", async () => {
    const text = [
      "FROM start AS one",
      "RUN --mount=type=secret,id=t,env=T echo secret=$T",
      "COPY --from=other o /o",
      "RUN cat /o",
      "FROM scratch",
      "",
    ].join("\n");
    const words = [
      "--secret",
      "id=t,env=TOKEN",
      "--build-context",
      "start=docker-image://busybox",
      "--build-context",
      "other=sub",
    ];
    const { code, err } = await build([...words, "--target", "one", "-f", "-", "."], { "sub/o": "named" }, text);
    assert.equal(code, 0, err);
    assert.match(err, /secret=tok/);
    assert.match(err, /named/);
  });

  test("an archive on standard input is a context", async () => {
    const { code, err } = await build(["-"], {}, "FROM busybox\nRUN echo from-stdin\n");
    assert.equal(code, 0, err);
    assert.match(err, /from-stdin/);
  });

  test("products: a folder, archives, an image under its names, what it says of itself", async () => {
    const files = { Dockerfile: "FROM scratch\nCOPY f /d/f\n", f: "product" };
    const words = ["-o", "out", "-o", "type=oci,dest=oci.tar", "-t", "product:1", "--metadata-file", "md"];
    const { code, err, cwd } = await build([...words, "-o", "type=image", "--platform", "linux/amd64", "."], files);
    assert.equal(code, 0, err);
    assert.equal(readFileSync(join(cwd, "out/d/f"), "utf8"), "product");
    assert.ok(readFileSync(join(cwd, "oci.tar")).includes("oci-layout"));
    const { Id } = await daemon.call<{ Id: string }>("GET", "/images/product:1/json");
    const said = JSON.parse(readFileSync(join(cwd, "md"), "utf8"));
    assert.deepEqual([said["image.name"], said["containerimage.config.digest"]], ["docker.io/library/product:1", Id]);
  });

  test("--check and --call build nothing", async () => {
    const files = { Dockerfile: "FROM busybox AS one\nARG V=1\nCMD true\n" };
    const check = await build(["--check", "."], files);
    assert.match(check.out, /JSONArgsRecommended/);
    assert.equal(check.code, 1);
    assert.match((await build(["--call=targets", "."], files)).out, /one \(default\)/);
    assert.match((await build(["--call=outline", "."], files)).out, /V +1/);
  });

  test("Bake: groups, and a target that starts from another", async () => {
    const target = (name: string, fields: object) => ({ [name]: { "dockerfile-inline": "FROM busybox\n", ...fields } });
    const file = {
      group: { default: { targets: ["app", "other"] } },
      target: {
        ...target("base", { "dockerfile-inline": "FROM busybox\nRUN echo base > /base\n" }),
        ...target("app", {
          contexts: { base: "target:base" },
          "dockerfile-inline": "FROM base\nRUN cat /base\n",
          tags: ["bake:1"],
        }),
        ...target("other", { tags: ["bake:2"] }),
      },
    };
    const { code, err } = await docker(["buildx", "bake", "--progress=plain"], {
      "docker-bake.json": JSON.stringify(file),
    });
    assert.equal(code, 0, err);
    const { out } = await docker(["image", "ls", "-q", "bake"]);
    assert.equal(out.split("\n").length, 2);
  });

  test("Compose builds its services, one from another", async () => {
    const file = {
      name: "gantrybuildx",
      services: {
        a: { build: { context: "a", args: { X: "1" } }, network_mode: "none", command: ["cat", "/x"] },
        b: {
          build: { context: ".", dockerfile_inline: "FROM a\nRUN cp /x /y\n", additional_contexts: { a: "service:a" } },
          network_mode: "none",
          command: ["cat", "/y"],
        },
      },
    };
    const files = {
      "compose.yaml": JSON.stringify(file),
      "a/Dockerfile": "FROM busybox\nARG X\nRUN echo made-$X > /x\n",
    };
    const up = await docker(["compose", "--progress=plain", "up", "--build"], files);
    assert.equal(up.code, 0, up.err);
    assert.match(up.out, /b-1 +\| made-1/);
    await docker(["compose", "down"], files);
  });

  test("the cache is shown and pruned, builds are remembered", async () => {
    assert.match((await docker(["buildx", "history", "ls"])).out, /Completed/);
    assert.match((await docker(["buildx", "du"])).out, /Total:/);
    assert.equal((await docker(["buildx", "prune", "-af"])).code, 0);
  });
});
