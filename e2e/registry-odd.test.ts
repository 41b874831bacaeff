/** What clients meet seldom: very long lists of tags, digests by SHA-512, manifests that go while they are pulled, proxies of the configuration. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { digestOf } from "../src/base/digest.ts";
import { MEDIA } from "../src/oci/media-types.ts";
import type { ImageManifest } from "../src/oci/types.ts";
import { makeLayout } from "../src/registry/storage/layout.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { makeImage, type TestImage } from "../src/testing/image-archives.ts";
import { startProxy, type TestProxy } from "../src/testing/proxy.ts";
import { startRegistry, type TestRegistry } from "../src/testing/registry.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "gantry-odd-"));
let registry: TestRegistry;
let proxy: TestProxy;
let daemon: TestDaemon;

before(async () => {
  registry = await startRegistry();
  proxy = await startProxy(Number(new URL(registry.url).port));
  const config = join(folder, "daemon.json");
  writeFileSync(
    config,
    JSON.stringify({
      "insecure-registries": ["behind.invalid", "direct.invalid"],
      proxies: { "http-proxy": proxy.url, "no-proxy": "direct.invalid" },
    }),
  );
  daemon = await startDaemon({ image: false, flags: ["--config-file", config] });
});
after(async () => {
  for (const one of [daemon, proxy, registry]) await one?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const exec = promisify(execFile);
const output = async (...[file = "", ...args]: string[]) => (await exec(file, args, { maxBuffer: 64 << 20 })).stdout;

async function pushImage(
  name: string,
  tag: string,
  { algorithm = "sha256", image }: { algorithm?: "sha256" | "sha512"; image?: TestImage } = {},
): Promise<string> {
  const { config, layers } = image ?? (await makeImage({ layers: [name] }));
  const push = async (bytes: Buffer, mediaType: string) => ({
    ...(await registry.pushBlob(name, bytes, algorithm)),
    mediaType,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    config: await push(config, MEDIA.ociConfig),
    layers: await Promise.all(layers.map((layer) => push(layer, MEDIA.ociLayer))),
  };
  return (await registry.pushManifest(name, manifest, tag)).digest;
}

describe("a repository of very many tags", () => {
  const tagsOf = (count: number) => Array.from({ length: count }, (_, at) => `t${String(at).padStart(5, "0")}`);
  const TAGS = tagsOf(10_000);
  /** As pushed, but for the waits for the disk. */
  const give = async (name: string, tags: readonly string[]) => {
    await pushImage(name, "t00000");
    const { tag } = makeLayout(registry.root);
    for (const one of tags.slice(1)) linkSync(tag(name, "t00000"), tag(name, one));
  };
  before(() => give("many", TAGS));

  test("is listed by skopeo and podman, whole", async () => {
    const listed = await output("skopeo", "list-tags", "--tls-verify=false", `docker://${registry.host}/many`);
    assert.deepEqual((JSON.parse(listed) as { Tags: string[] }).Tags, TAGS);
    const limits = ["--list-tags", "--limit", "20000", "--tls-verify=false", "--no-trunc", "--format", "json"];
    const places = ["--root", join(folder, "p"), "--runroot", join(folder, "r"), "--storage-driver", "vfs"];
    const searched = await output("podman", ...places, "search", ...limits, `${registry.host}/many`);
    const [found] = JSON.parse(searched) as { Tags: string[] }[];
    assert.deepEqual(found?.Tags, TAGS);
  });

  test("is walked page by page, each tag once", async () => {
    const seen: string[] = [];
    for (let path: string | undefined = "/v2/many/tags/list?n=999"; path !== undefined; ) {
      const answer: Response = await registry.fetch("GET", path);
      seen.push(...((await answer.json()) as { tags: string[] }).tags);
      path = /<([^>]*)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
    }
    assert.deepEqual(seen, TAGS);
  });

  test("gives its image under each of them to gantry pull -a, also those of the next page", async () => {
    const cli = new Cli("gantry", daemon);
    const tags = tagsOf(1_100);
    await give("pages", tags);
    await cli.ok("pull", "-aq", `${registry.host}/pages`);
    const [image] = await daemon.call<{ RepoTags: string[] }[]>("GET", "/images/json");
    assert.equal(image?.RepoTags.length, tags.length);
    await cli.ok("rmi", "-f", (await cli.ok("images", "-q", "--no-trunc")).split("\n")[0] ?? "");
    assert.equal(await cli.ok("images", "-q"), "");
  });
});

for (const name of ["docker", "gantry"] satisfies CliName[])
  describe(name, { skip: missing(name) }, () => {
    const cli = () => new Cli(name, daemon);

    test("pulls an image whose blobs have SHA-512 digests, and pushes it with them", async () => {
      const [from, to] = [`${name}/sha512`, `${name}/copied`];
      const digest = await pushImage(from, "1", { algorithm: "sha512" });
      await cli().ok("pull", `${registry.host}/${from}:1`);
      await cli().ok("tag", `${registry.host}/${from}:1`, `${registry.host}/${to}:1`);
      assert.match(await cli().ok("push", `${registry.host}/${to}:1`), new RegExp(digest));
      const archive = join(folder, `${name}.tar`);
      await cli().ok("save", "-o", archive, `${registry.host}/${from}:1`);
      await cli().ok("rmi", `${registry.host}/${from}:1`, `${registry.host}/${to}:1`);
      await cli().ok("load", "-i", archive);
      const id = await cli().ok("image", "inspect", "--format", "{{.Id}}", `${registry.host}/${from}:1`);
      assert.match(id, /^sha512:/);
      await cli().ok("rmi", `${registry.host}/${from}:1`);
    });

    test("pulls what a SHA-512 digest names", async () => {
      const repository = `${name}/pinned`;
      const manifest = await (
        await registry.fetch("GET", `/v2/${repository}/manifests/${await pushImage(repository, "1")}`)
      ).text();
      const digest = `sha512:${createHash("sha512").update(manifest).digest("hex")}`;
      const headers = { "Content-Type": MEDIA.ociManifest };
      const path = `/v2/${repository}/manifests/${digest}`;
      assert.equal((await registry.fetch("PUT", path, { body: manifest, headers })).status, 201);
      await cli().ok("pull", `${registry.host}/${repository}@${digest}`);
      await cli().ok("rmi", `${registry.host}/${repository}@${digest}`);
    });

    test("pulls through a cache that has no room for the image, which keeps none of its layers, but those of one that fits", async () => {
      const image = await makeImage({ layers: [`${name} ${"long ".repeat(50_000)}`] });
      const [large, small] = [`${name}/large`, `${name}/small`];
      await pushImage(large, "1", { image });
      await pushImage(small, "1");
      await using cache = await startRegistry({
        upstreams: [{ prefix: "up", url: registry.url }],
        quotas: [{ repositories: [/^up\/.*$/], bytes: 100_000 }],
      });
      for (const repository of [large, small]) {
        assert.match(await cli().ok("pull", `${cache.host}/up/${repository}:1`), /Downloaded newer image/);
        await cli().ok("rmi", `${cache.host}/up/${repository}:1`);
      }
      const kept = async (repository: string) => {
        const { layers } = (await (
          await registry.fetch("GET", `/v2/${repository}/manifests/1`)
        ).json()) as ImageManifest;
        return layers.map(({ digest }) => existsSync(makeLayout(cache.root).blob(digest)));
      };
      assert.deepEqual([await kept(large), await kept(small)], [[false], [true]]);
    });

    test("goes through the configuration's proxy, but for who is excepted", async () => {
      await pushImage(`${name}/proxied`, "1");
      const before = proxy.seen.length;
      assert.match(await cli().ok("pull", `behind.invalid/${name}/proxied:1`), /Downloaded newer image/);
      assert.ok(
        proxy.seen.slice(before).some((line) => line.includes(`behind.invalid/v2/${name}/proxied/manifests/1`)),
      );
      const { err } = await cli().run("pull", `direct.invalid/${name}/proxied:1`);
      assert.match(err, /direct\.invalid/);
      assert.ok(!proxy.seen.some((line) => line.includes("direct.invalid")));
      await cli().ok("rmi", `behind.invalid/${name}/proxied:1`);
    });
  });

test("what is deleted and collected while a client reads it is read to its end, and is gone for the next", async () => {
  const layer = randomBytes(12 << 20);
  const { digest } = await registry.pushBlob("going", layer);
  const config = await registry.pushBlob("going", "{}");
  const image = {
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    config,
    layers: [{ mediaType: MEDIA.ociLayer, digest, size: layer.length }],
  };
  const manifest = await registry.pushManifest("going", image, "1");
  const reading = await registry.fetch("GET", `/v2/going/blobs/${digest}`);
  assert.equal((await registry.fetch("DELETE", `/v2/going/manifests/${manifest.digest}`)).status, 202);
  const collected = await registry.registry.collect({ grace: 0 });
  assert.ok(collected.blobs >= 2);
  assert.equal(digestOf(Buffer.from(await reading.arrayBuffer())), digest);
  assert.equal((await registry.fetch("GET", `/v2/going/blobs/${digest}`)).status, 404);
});
