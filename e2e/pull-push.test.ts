/** Images from and to a registry that is not ours, by the docker CLI and by gantry. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type DebianRegistry, startDebianRegistry } from "../src/testing/debian-registry.ts";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli, daemon) => {
  const { name } = cli;
  let registry: DebianRegistry;
  before(async () => {
    registry = await startDebianRegistry();
    const target = `docker://${registry.host}/team/box:1`;
    const copied = spawnSync("skopeo", ["copy", "--dest-tls-verify=false", `docker-archive:${daemon.archive}`, target]);
    assert.equal(copied.status, 0, copied.stderr?.toString());
  });
  after(() => registry?.[Symbol.asyncDispose]());

  test("pull brings an image, says its digest, and the image runs", async () => {
    const image = `${registry.host}/team/box:1`;
    const out = await cli.ok("pull", image);
    assert.match(
      out,
      /^1: Pulling from team\/box\n[0-9a-f]{12}: Pulling fs layer\n[\s\S]*Pull complete\nDigest: sha256:/,
    );
    assert.match(out, new RegExp(`Status: Downloaded newer image for ${image}\n${image}$`));
    assert.match(await cli.ok("pull", image), /Status: Image is up to date/);
    assert.equal(await cli.ok("run", "--rm", image, "echo", "hi"), "hi");
    const digest = /Digest: (sha256:[0-9a-f]{64})/.exec(out)?.[1] ?? "";
    assert.equal(
      await cli.ok("pull", "-q", `${registry.host}/team/box@${digest}`),
      `${registry.host}/team/box@${digest}`,
    );
    assert.match(await cli.ok("images", "--digests"), new RegExp(digest));
  });

  test("run pulls what is missing, and only then", async () => {
    const image = `${registry.host}/team/box:1`;
    await cli.run("rmi", "-f", image, "busybox");
    const never = await cli.run("run", "--rm", "--pull", "never", image, "true");
    assert.deepEqual([never.code, /No such image/.test(never.err)], [125, true]);
    const { code, out, err } = await cli.run("run", "--rm", image, "echo", "pulled");
    assert.deepEqual([code, out], [0, "pulled"]);
    assert.match(err, /Unable to find image '.*' locally\n1: Pulling from team\/box/);
    assert.match((await cli.run("run", "--rm", "--pull", "always", image, "true")).err, /Image is up to date/);
  });

  test("what is not there is an error that names it", async () => {
    const { code, err } = await cli.run("pull", `${registry.host}/team/box:none`);
    assert.equal(code, 1);
    assert.match(err, /manifest for localhost:\d+\/team\/box:none not found: manifest unknown/);
  });

  test("push sends what was made here compressed, the same bytes each time, and skips what is there", async () => {
    const [one, other] = [`${registry.host}/made/${name}:1`, `${registry.host}/made/other-${name}:2`];
    await cli.ok("load", "-i", daemon.archive);
    await cli.ok("tag", "busybox", one);
    const out = await cli.ok("push", one);
    assert.match(out, /^The push refers to repository \[localhost:\d+\/made\/\w+\]\n[0-9a-f]{12}: Preparing\n/);
    const digest = /^1: digest: (sha256:[0-9a-f]{64}) size: \d+$/m.exec(out)?.[1] ?? "";
    assert.match(out, /Pushed/);
    const again = await cli.ok("push", one);
    assert.match(again, /Layer already exists/);
    assert.ok(again.includes(digest));
    await cli.ok("tag", one, other);
    assert.match(await cli.ok("push", other), /Mounted from made\//);
    assert.equal(skopeo(`${registry.host}/made/other-${name}:2`).Digest, digest);
    assert.match(skopeo(one, "--raw").layers[0].mediaType, /gzip$/);
    await cli.ok("load", "-i", daemon.archive);
    await cli.ok("tag", "busybox", one);
    assert.ok((await cli.ok("push", one)).includes(digest), "loaded anew, it is compressed to the same bytes");
    const [plain = ""] = skopeo(one, "--config").rootfs.diff_ids;
    const kept = readdirSync(join(daemon.dataRoot, "content", "blobs", "sha256"));
    assert.ok(!kept.includes(plain.slice(7)), "the plain form went when nobody needed it any more");
  });

  test("push -a sends every tag; push of what is not here says so", async () => {
    const repository = `${registry.host}/many/${name}`;
    for (const tag of ["a", "b"]) await cli.ok("tag", "busybox", `${repository}:${tag}`);
    await cli.ok("push", "-q", "-a", repository);
    assert.deepEqual(skopeo(`${repository}:a`).RepoTags.sort(), ["a", "b"]);
    await cli.run("rmi", "-f", `${repository}:a`, `${repository}:b`);
    const pulled = await cli.ok("pull", "-a", repository);
    for (const tag of ["a", "b"]) assert.match(pulled, new RegExp(`^${tag}: Pulling from many/${name}$`, "m"));
    assert.match((await cli.run("push", `${repository}:c`)).err, /tag does not exist: /);
    assert.match(
      (await cli.run("push", `${registry.host}/none`)).err,
      /An image does not exist locally with the tag: /,
    );
  });
});

function skopeo(image: string, ...flags: string[]) {
  const { stdout, stderr } = spawnSync("skopeo", ["inspect", "--tls-verify=false", ...flags, `docker://${image}`]);
  assert.notEqual(stdout.length, 0, stderr.toString());
  return JSON.parse(stdout.toString());
}
