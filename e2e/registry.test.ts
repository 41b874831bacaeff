/** Real clients against the registry. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { makeBusyboxArchive } from "../scripts/base-image.ts";
import { startRegistry, type TestRegistry } from "../src/testing/registry.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "gantry-registry-clients-"));
const archive = join(folder, "busybox.tar");
let registry: TestRegistry;
let imageId: string;

before(async () => {
  registry = await startRegistry();
  imageId = await makeBusyboxArchive(archive);
});
after(async () => {
  await registry[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const skopeo = async (...args: string[]) => (await run("skopeo", ["--insecure-policy", ...args])).stdout;
const podman = async (...args: string[]) =>
  (
    await run("podman", [
      "--root",
      join(folder, "p"),
      "--runroot",
      join(folder, "r"),
      "--storage-driver",
      "vfs",
      ...args,
    ])
  ).stdout;

const digestAt = async (name: string, tag: string) =>
  (await registry.fetch("HEAD", `/v2/${name}/manifests/${tag}`)).headers.get("docker-content-digest");

for (const format of ["oci", "v2s2"])
  test(`skopeo copies an image in, in the format ${format}, and gets the same back`, async () => {
    const at = `docker://${registry.host}/skopeo/${format}:1`;
    await skopeo("copy", "-q", "--format", format, "--dest-tls-verify=false", `docker-archive:${archive}`, at);
    const layout = `oci:${join(folder, format)}:1`;
    await skopeo(
      "copy",
      "-q",
      "--src-tls-verify=false",
      "--preserve-digests",
      at,
      format === "oci" ? layout : `dir:${join(folder, format)}`,
    );
    const seen = JSON.parse(await skopeo("inspect", "--tls-verify=false", at));
    assert.equal(seen.Digest, await digestAt(`skopeo/${format}`, "1"));
    assert.deepEqual(seen.RepoTags, ["1"]);
  });

test("podman pushes an image and pulls the same", async () => {
  const name = `${registry.host}/podman/busybox:1`;
  await podman("load", "-q", "-i", archive);
  await podman("tag", imageId.slice(7), name);
  await podman("push", "-q", "--tls-verify=false", name);
  await podman("rmi", "-f", name);
  await podman("pull", "-q", "--tls-verify=false", name);
  assert.equal((await podman("image", "inspect", "--format", "{{.Id}}", name)).trim(), imageId.slice(7));
});

test("a layer that another repository has is mounted, not sent again", async () => {
  const at = (name: string) => `docker://${registry.host}/${name}`;
  await skopeo("copy", "-q", "--dest-tls-verify=false", `docker-archive:${archive}`, at("mount/a:1"));
  const log = await run("skopeo", [
    "--debug",
    "--insecure-policy",
    "copy",
    "--src-tls-verify=false",
    "--dest-tls-verify=false",
    at("mount/a:1"),
    at("mount/b:1"),
  ]);
  assert.match(log.stderr, /mount=sha256/);
  assert.equal(await digestAt("mount/a", "1"), await digestAt("mount/b", "1"));
});
