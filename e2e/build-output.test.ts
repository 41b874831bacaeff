/** What builds say: the classic builder's lines, which scripts read, IDs in files, progress. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

const STAGES = `FROM busybox AS one
RUN echo one > /one
FROM busybox AS unused
RUN false
FROM busybox AS two
RUN echo two > /two
COPY f /f
FROM busybox
COPY --from=one /one /one
COPY --from=two /two /two
ARG DECLARED
CMD ["cat", "/one"]
`;

describe("what builds say", () => {
  let daemon: TestDaemon;
  let docker: Cli;
  let gantry: Cli;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "gantry-output-"));
    daemon = await startDaemon();
    docker = new Cli("docker", daemon);
    gantry = new Cli("gantry", daemon);
    writeFileSync(join(folder, "Dockerfile"), STAGES);
    writeFileSync(join(folder, "Failing"), "FROM busybox\nRUN exit 7\n");
    writeFileSync(join(folder, "f"), "f");
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await daemon[Symbol.asyncDispose]();
  });

  test("the classic lines have every step of every stage, in the file's order, and the end that scripts look for", {
    skip: missing("docker"),
  }, async () => {
    const first = await docker.ok("build", "-t", "said:1", "-t", "said", folder);
    const again = await docker.ok("build", "-t", "said:1", folder);
    const texts = STAGES.trim()
      .split("\n")
      .filter((line) => !/unused|false/.test(line));
    const expected = texts.map((text, index) => `Step ${index + 1}/${texts.length} : ${text}`);
    for (const out of [first, again]) assert.deepEqual(out.match(/^Step .*/gm), expected);
    assert.equal(again.match(/^ ---> Using cache$/gm)?.length, texts.length - 3);
    const id = await docker.ok("images", "-q", "said:1");
    const end = `Successfully built ${id}\nSuccessfully tagged said:1`;
    assert.ok(first.endsWith(`${end}\nSuccessfully tagged said:latest`), first);
    assert.ok(again.endsWith(end), again);
  });

  test("build arguments that nothing declares are told by the classic builder", {
    skip: missing("docker"),
  }, async () => {
    const given = ["UNUSED", "DECLARED", "HTTP_PROXY", "SOURCE_DATE_EPOCH", "ALSO"].flatMap((name) => [
      "--build-arg",
      `${name}=1`,
    ]);
    const out = await docker.ok("build", ...given, folder);
    assert.match(out, /^\[Warning\] One or more build-args \[ALSO UNUSED\] were not consumed\nSuccessfully built/m);
  });

  test("a file that is copied and left out by the ignore file is found by a check and in a build", async () => {
    const place = mkdtempSync(join(tmpdir(), "gantry-ignored-"));
    try {
      writeFileSync(join(place, "Dockerfile"), "# check=experimental=all\nFROM busybox\nCOPY f* /\nCOPY g /g\n");
      writeFileSync(join(place, ".dockerignore"), "g\n");
      for (const name of ["f1", "g"]) writeFileSync(join(place, name), name);
      const { code, out } = await gantry.run("build", "--check", place);
      assert.equal(code, 1);
      assert.match(out, /CopyIgnoredFile.*\nAttempting to Copy file "g" that is excluded by \.dockerignore/);
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  test("a key in place of an agent is used by one of the build's own, which ends with it", {
    skip: spawnSync("ssh-add", ["-h"]).error === undefined ? false : "no ssh-add on this machine",
  }, async () => {
    const key = join(folder, "key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "of the test", "-f", key]);
    const tools = join(folder, "Agent");
    writeFileSync(tools, "FROM busybox\nRUN --mount=type=ssh,required=true test -S $SSH_AUTH_SOCK\n");
    const cli = gantry.with({ TMPDIR: folder });
    await cli.ok("build", "--no-cache", "--ssh", `default=${key}`, "-f", tools, folder);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith("gantry-agent-")),
      [],
    );
    const { code, err } = await cli.run("build", "--ssh", `default=${join(folder, "none")}`, "-f", tools, folder);
    assert.equal(code, 1);
    assert.match(err, /ssh agent default: .*none does not exist/);
    const wrong = await cli.run("build", "--ssh", `default=${tools}`, "-f", tools, folder);
    assert.match(wrong.err, /ssh agent default: .*Agent cannot be used/);
  });

  test("a build that fails leaves no ID of an older one", async () => {
    const path = join(folder, "iid");
    await gantry.ok("build", "--iidfile", path, folder);
    assert.match(readFileSync(path, "utf8"), /^sha256:[0-9a-f]{64}$/);
    const { code } = await gantry.run("build", "--iidfile", path, "-f", join(folder, "Failing"), folder);
    assert.equal(code, 7);
    assert.ok(!existsSync(path));
  });

  test("progress tells the image and its names, as the environment wants it when no flag does", async () => {
    const { err } = await gantry.run("build", "-t", "named:1", folder);
    const id = (await gantry.ok("image", "inspect", "-f", "{{.Id}}", "named:1")).trim();
    assert.match(err, new RegExp(`writing image ${id}`));
    assert.match(err, /naming to docker\.io\/library\/named:1/);
    const raw = await gantry.with({ BUILDKIT_PROGRESS: "rawjson" }).run("build", folder);
    assert.ok(raw.err.split("\n").every((line) => typeof JSON.parse(line) === "object"));
    const plain = await gantry.with({ BUILDKIT_PROGRESS: "rawjson" }).run("build", "--progress=plain", folder);
    assert.match(plain.err, /^#1 /m);
  });

  test("a terminal that does not know its size is taken for one of 80 columns", async () => {
    const command = `${gantry.file} build --progress=tty --no-cache ${folder}`;
    const drawn = execFileSync("script", ["-qec", command, "/dev/null"], { env: gantry.env, encoding: "utf8" });
    assert.match(drawn, /RUN echo one > \/one/);
  });

  test("where no folder can be made the output is an error", async () => {
    const { code, err } = await gantry.run("build", "-o", "type=oci,dest=/proc/gantry-nothing/x.tar", folder);
    assert.equal(code, 1);
    assert.match(err, /ENOENT.*\/proc\/gantry-nothing/);
  });

  test("an image output refuses what it does not do", async () => {
    const wrong = await gantry.run("build", "-o", "type=image,name=x,bogus=1", folder);
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /the image output has no option "bogus"\nIt has name, push, /);
    const other = await gantry.run("build", "-o", "type=image,name=x,compression=lz4", folder);
    assert.match(other.err, /unsupported layer compression type lz4/);
    await gantry.ok("build", "-o", "type=image,name=x,oci-mediatypes=true,push=false", folder);
    await gantry.ok("image", "inspect", "x");
  });
});
