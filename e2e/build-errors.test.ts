/** Whatever is wrong with a build, both CLIs show the lines of the Dockerfile that ask for it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

/** What is wrong in the second line, or from it on; and what is said of it. */
const WRONG: Readonly<Record<string, readonly [lines: string, message: RegExp]>> = {
  "no instruction": ["ADDD x", /unknown instruction: ADDD \(did you mean ADD\?\)/],
  "a here-document without an end": ["RUN <<EOT\ntrue", /unterminated heredoc/],
  "a signal that is none once its variable is known": ["STOPSIGNAL S$PATH", /invalid signal: S\//],
  "a port that is none": ["EXPOSE 99999", /invalid containerPort: 99999/],
  "an image that cannot be had for COPY": ["COPY --from=127.0.0.1:1/none /x /x", /cannot reach 127\.0\.0\.1:1/],
  "an image that cannot be had for a mount": [
    "RUN --mount=from=127.0.0.1:1/none,target=/x true",
    /cannot reach 127\.0\.0\.1:1/,
  ],
  "a URL where nobody answers": ["ADD http://127.0.0.1:1/x /x", /unable to download http:\/\/127\.0\.0\.1:1\/x/],
  "a repository where nobody answers": ["ADD http://127.0.0.1:1/x.git /x", /unable to fetch http:\/\/127\.0\.0\.1:1/],
  "a file that is not there": ["COPY none /x", /stat none: file does not exist/],
  "a file that is not there, to be mounted writable": ["RUN --mount=source=none,target=/x,rw true", /none/],
  "a user that is not there": ["COPY --chown=nobody-such Dockerfile /x", /unable to find user nobody-such/],
  "a file where a folder is to be": ["WORKDIR /bin/busybox", /Cannot mkdir: \/bin\/busybox is not a directory/],
  "a file on the way": ["WORKDIR /bin/busybox/x", /cannot copy to non-directory: \/bin\/busybox/],
  "a command that fails": ["RUN exit 9", /exit code: 9|non-zero code: 9/],
  "a secret that is not given": ["RUN --mount=type=secret,id=s,required true", /secret s: not found/],
};

describe("errors of builds", () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-build-errors-"));
  let daemon: TestDaemon;

  before(async () => {
    daemon = await startDaemon();
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  });

  for (const name of ["docker", "gantry"] as const)
    test(`by ${name} have the message and the lines`, { skip: missing(name) }, async () => {
      const cli = new Cli(name, daemon);
      for (const [what, [lines, message]] of Object.entries(WRONG)) {
        const folder = join(root, `${name} ${what}`);
        mkdirSync(folder);
        writeFileSync(join(folder, "Dockerfile"), `FROM busybox\n${lines}\n`);
        const { code, out, err } = await cli.run("build", folder);
        const said = out + err;
        assert.notEqual(code, 0, what);
        assert.match(said, message, what);
        assert.ok(
          said.includes(
            `Dockerfile:2\n--------------------\n   1 |     FROM busybox\n   2 | >>> ${lines.split("\n")[0]}\n`,
          ),
          said,
        );
      }
    });

  test("more layers than an image can have are told of; squashed they are one", async () => {
    const folder = join(root, "deep");
    mkdirSync(folder);
    const copies = Array.from({ length: 130 }, (_, at) => `COPY f /${at}\n`);
    writeFileSync(join(folder, "Dockerfile"), `FROM scratch\n${copies.join("")}`);
    writeFileSync(join(folder, "f"), "f");
    const gantry = new Cli("gantry", daemon);
    const { code, err } = await gantry.run("build", folder);
    assert.equal(code, 1);
    assert.match(err, /max depth exceeded: the image has 130 layers, at most 127 can be\n.*--squash/);
    await gantry.ok("build", "--squash", folder);
  });

  test("a mount that may be written shows what it is of, and nothing of the container's", async () => {
    const folder = join(root, "mounts");
    mkdirSync(folder);
    const steps = [
      "RUN --mount=target=/m,rw ls -A /m | sort | tr '\\n' ' ' >/context",
      "RUN --mount=from=files,target=/m,rw touch /m/new && ls -A /m | sort | tr '\\n' ' ' >/stage",
    ];
    writeFileSync(join(folder, "Dockerfile"), `FROM scratch AS files\nCOPY a b /\nFROM busybox\n${steps.join("\n")}\n`);
    for (const file of ["a", "b"]) writeFileSync(join(folder, file), file);
    const gantry = new Cli("gantry", daemon);
    await gantry.ok("build", "-t", "mounted", folder);
    const listed = await gantry.ok("run", "--rm", "--network", "none", "mounted", "cat", "/context", "/stage");
    assert.equal(listed, "Dockerfile a b a b new ");
  });
});
