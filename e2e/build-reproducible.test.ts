/** The same inputs and SOURCE_DATE_EPOCH give the same image, whoever builds it where and when; and --verify finds what does not. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { digestOf } from "../src/base/digest.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

const DOCKERFILE = `FROM busybox AS made
WORKDIR /work
COPY a/ ./a/
RUN mkdir -p deep/er && for i in 3 1 2; do echo $i >deep/er/$i; done && ln a/one linked && ln -s a/two soft
RUN rm a/two && chmod 700 deep && date >/dev/null
FROM busybox
LABEL z=1 a=2
ENV B=1 A=2
COPY --from=made --chown=7:8 /work /work
ADD archive.tar /unpacked
COPY --chmod=640 <<EOT /inline
text
EOT
RUN --mount=type=cache,target=/c --mount=type=bind,source=a,target=/b cp /b/one /copied && echo x >>/c/count
VOLUME /v
CMD ["cat", "/inline"]
`;

const FLAGS = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000"];

describe("reproducible builds", () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-reproducible-"));
  let daemons: readonly TestDaemon[];

  before(async () => {
    daemons = await Promise.all([startDaemon(), startDaemon()]);
  });
  after(async () => {
    await Promise.all(daemons.map((daemon) => daemon[Symbol.asyncDispose]()));
    rmSync(root, { recursive: true, force: true });
  });

  /** The same files at another place, made in another order at other times. */
  function context(name: string, order: readonly string[], time: number): string {
    const folder = join(root, name);
    mkdirSync(join(folder, "a"), { recursive: true });
    const source = join(root, "source");
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, "packed"), "packed");
    utimesSync(join(source, "packed"), 1_600_000_000, 1_600_000_000);
    const files: Readonly<Record<string, string>> = {
      "a/one": "1",
      "a/two": "2",
      "a/three": "3",
      Dockerfile: DOCKERFILE,
    };
    for (const file of order) {
      writeFileSync(join(folder, file), files[file] ?? "");
      utimesSync(join(folder, file), time, time);
    }
    execFileSync("tar", [
      "--sort=name",
      "--owner=0",
      "--group=0",
      "-C",
      source,
      "-cf",
      join(folder, "archive.tar"),
      ".",
    ]);
    return folder;
  }

  test("two daemons, two folders, both clients, with and without a cache: one image, one archive", async () => {
    const folders = [
      context("first", ["a/one", "a/two", "a/three", "Dockerfile"], 1_710_000_000),
      context("second", ["Dockerfile", "a/three", "a/two", "a/one"], 1_720_000_000),
    ];
    const [digests, ids, archives] = [new Set<string>(), new Set<string>(), new Set<string>()];
    for (const [at, daemon] of daemons.entries()) {
      const gantry = new Cli("gantry", daemon);
      const [metadata, archive] = [join(root, `metadata-${at}`), join(root, `archive-${at}`)];
      const folder = folders[at] ?? "";
      for (const flags of [[], ["--no-cache"], ["-o", `type=oci,dest=${archive},compression=zstd,name=x:1`]]) {
        await gantry.ok("build", ...FLAGS, ...flags, "--metadata-file", metadata, folder);
        const told = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, string>;
        ids.add(told["containerimage.config.digest"] ?? "");
        if (flags[0] !== "-o") digests.add(told["containerimage.digest"] ?? "");
      }
      archives.add(digestOf(readFileSync(archive)));
      if (!missing("docker"))
        ids.add(await new Cli("docker", daemon).ok("build", "-q", "--no-cache", ...FLAGS, folder));
      const squashed = await gantry.ok("build", "-q", "--squash", ...FLAGS, folder);
      digests.add(`squashed: ${squashed}`);
    }
    assert.equal(ids.size, 1, [...ids].join());
    assert.equal(digests.size, 2, [...digests].join());
    assert.equal(archives.size, 1);
  });

  test("--verify passes what is the same, and says what is not: contents, modes, names, configuration", async () => {
    const [daemon] = daemons;
    const gantry = new Cli("gantry", daemon as TestDaemon);
    const verify = (steps: string) => {
      const folder = mkdtempSync(join(root, "verify-"));
      writeFileSync(join(folder, "Dockerfile"), `FROM busybox\n${steps}\n`);
      return gantry.run("build", "--verify", ...FLAGS, folder);
    };
    const same = await verify("RUN echo same >/f");
    assert.equal(same.code, 0, same.err);
    assert.match(same.err, /Both builds made the same image/);
    const different: Readonly<Record<string, RegExp>> = {
      "RUN head -c 16 /dev/urandom >/noise": /differ:\n(?:.*\n)*? - .*noise/,
      "RUN touch /$(cat /proc/sys/kernel/random/uuid)": /differ:\n(?:.*\n)*? - .*[0-9a-f]{8}-[0-9a-f]{4}-/,
      "RUN cat /proc/sys/kernel/random/uuid >/stamp; touch /steady": /differ:\n(?:.*\n)*? - .*stamp/,
    };
    for (const [steps, message] of Object.entries(different)) {
      const { code, err } = await verify(steps);
      assert.equal(code, 1, steps);
      assert.match(err, message);
      assert.doesNotMatch(err.slice(err.indexOf("differ:")), /steady/);
    }
  });
});
