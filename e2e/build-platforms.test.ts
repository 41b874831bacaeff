/** Images for another architecture than the machine's, with RUN steps of that architecture, by the real CLIs. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { startRegistry } from "../src/testing/registry.ts";
import { Cli, missing } from "./lib/cli.ts";
import { foreignBusybox, missingForeign, unregisterForeign, withForeign } from "./lib/foreign.ts";

const BASE = `FROM scratch
ARG TARGETARCH
COPY $TARGETARCH/busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
CMD ["uname", "-m"]
`;

const APP = `FROM --platform=$BUILDPLATFORM base AS tools
ARG TARGETARCH
RUN echo "made on $(uname -m) for $TARGETARCH" > /made
FROM base
ARG TARGETPLATFORM
RUN uname -m > /machine && echo "$TARGETPLATFORM" > /platform
COPY --from=tools /made /made
CMD ["cat", "/machine", "/platform", "/made"]
`;

const INDEX = "application/vnd.oci.image.index.v1+json";

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly platform: { readonly architecture: string } }[];
}

describe("builds for another architecture", { skip: missingForeign() }, () => {
  let daemon: TestDaemon;
  let gantry: Cli;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "gantry-platforms-"));
    daemon = await startDaemon({ through: withForeign() });
    gantry = new Cli("gantry", daemon);
    for (const name of ["amd64/busybox", "arm64/busybox", "Dockerfile", "App", "One"])
      mkdirSync(dirname(join(folder, name)), { recursive: true });
    copyFileSync("/bin/busybox", join(folder, "amd64", "busybox"));
    copyFileSync(foreignBusybox(), join(folder, "arm64", "busybox"));
    writeFileSync(join(folder, "Dockerfile"), BASE);
    writeFileSync(join(folder, "App"), APP);
    writeFileSync(join(folder, "One"), "FROM --platform=linux/arm64 base\nRUN uname -m > /machine\n");
    await gantry.ok("build", "--platform=linux/amd64,linux/arm64", "-t", "base", folder);
  });
  after(async () => {
    unregisterForeign(daemon.pid);
    await daemon[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("each platform's steps run on it, and an index comes out, which runs here on both", async () => {
    const file = join(folder, "App");
    const flags = ["--platform=linux/amd64,linux/arm64", "-f", file];
    const written = join(folder, "app.tar");
    await gantry.ok("build", ...flags, "-t", "app:1", "-o", `type=oci,dest=${written}`, "--load", folder);
    const said = (machine: string, architecture: string) =>
      `${machine}\nlinux/${architecture}\nmade on x86_64 for ${architecture}`;
    assert.equal(await gantry.ok("run", "--rm", "app:1"), said("x86_64", "amd64"));
    assert.equal(await gantry.ok("run", "--rm", "--platform=linux/arm64", "app:1"), said("aarch64", "arm64"));
    const member = (path: string) =>
      JSON.parse(execFileSync("tar", ["-xOf", written, path], { encoding: "utf8" })) as Index;
    const [top] = member("index.json").manifests;
    const index = member(`blobs/${top?.digest.replace(":", "/")}`);
    assert.deepEqual(
      index.manifests.map(({ platform }) => platform.architecture),
      ["amd64", "arm64"],
    );
  });

  test("a folder has the files of each platform", async () => {
    const out = join(folder, "out");
    await gantry.ok("build", "--platform=linux/amd64,linux/arm64", "-f", join(folder, "App"), "-o", out, folder);
    assert.equal(readFileSync(join(out, "linux_arm64", "machine"), "utf8"), "aarch64\n");
    assert.equal(readFileSync(join(out, "linux_amd64", "machine"), "utf8"), "x86_64\n");
  });

  test("FROM --platform, and the classic builder's --platform", async () => {
    await gantry.ok("build", "-t", "one", "-f", join(folder, "One"), folder);
    assert.equal(await gantry.ok("image", "inspect", "-f", "{{.Architecture}}", "one"), "arm64");
    assert.equal(await gantry.ok("run", "--rm", "one", "cat", "/machine"), "aarch64");
    if (missing("docker")) return;
    const docker = new Cli("docker", daemon);
    await docker.ok("build", "--platform=linux/arm64", "-t", "two", "-f", join(folder, "App"), folder);
    assert.match(await docker.ok("run", "--rm", "two"), /^aarch64\nlinux\/arm64\n/);
  });

  test("where nothing runs the platform's programs the step says so, with its line", async () => {
    writeFileSync(join(folder, "Risc"), 'FROM scratch\nCOPY amd64 /\nRUN ["/busybox", "true"]\n');
    const step = await gantry.run("build", "--platform=linux/riscv64", "-f", join(folder, "Risc"), folder);
    assert.equal(step.code, 1);
    assert.match(step.err, /^ {3}3 \| >>> RUN/m);
    assert.match(step.err, /RUN steps for linux\/riscv64 cannot run on this machine/);
    assert.match(step.err, /qemu-user-static/);
  });

  test("an index goes to a registry whole, and what was sent is what the metadata tell", async () => {
    await using registry = await startRegistry();
    const [name, metadata] = [`${registry.host}/app`, join(folder, "metadata.json")];
    const flags = ["--platform=linux/amd64,linux/arm64", "-f", join(folder, "App"), "--metadata-file", metadata];
    await gantry.ok("build", ...flags, "--push", "-t", `${name}:1`, folder);
    const answer = await registry.fetch("GET", "/v2/app/manifests/1", { headers: { Accept: INDEX } });
    const { manifests } = (await answer.json()) as Index;
    assert.deepEqual(
      manifests.map(({ platform }) => platform.architecture),
      ["amd64", "arm64"],
    );
    const told = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, unknown>;
    assert.equal(told["containerimage.digest"], answer.headers.get("Docker-Content-Digest"));
    await gantry.ok("rmi", "-f", `${name}:1`);
    assert.match(await gantry.ok("run", "--rm", "--platform=linux/arm64", `${name}:1`), /^aarch64\n/);
  });
});
