/** What outputs ask of images: compression, media types, annotations, names by digest; in archives, in the daemon, in a registry. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { startRegistry, type TestRegistry } from "../src/testing/registry.ts";
import { Cli } from "./lib/cli.ts";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly architecture: string };
}

interface Document extends Descriptor {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly manifests: readonly Descriptor[];
}

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker";
const BOTH = "--platform=linux/amd64,linux/arm64";
const ACCEPT = [
  `${OCI}.manifest.v1+json`,
  `${OCI}.index.v1+json`,
  `${DOCKER}.distribution.manifest.v2+json`,
  `${DOCKER}.distribution.manifest.list.v2+json`,
].join(", ");

describe("image options of outputs", () => {
  const root = mkdtempSync(join(tmpdir(), "gantry-image-options-"));
  const [one, two] = [join(root, "one"), join(root, "two")];
  let daemon: TestDaemon;
  let registry: TestRegistry;
  let gantry: Cli;
  let count = 0;

  before(async () => {
    const files = { [one]: "FROM busybox\nCOPY f /f\nRUN echo made >/made\n", [two]: "FROM scratch\nCOPY f /f\n" };
    for (const [folder, dockerfile] of Object.entries(files)) {
      mkdirSync(folder);
      writeFileSync(join(folder, "Dockerfile"), dockerfile);
      writeFileSync(join(folder, "f"), "some content ".repeat(1000));
    }
    daemon = await startDaemon();
    registry = await startRegistry();
    gantry = new Cli("gantry", daemon);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  });

  /** An OCI layout in a folder, each blob checked against its name. */
  class Layout {
    readonly folder: string;

    constructor(folder: string) {
      this.folder = folder;
      for (const hex of readdirSync(join(folder, "blobs", "sha256")))
        assert.equal(
          createHash("sha256")
            .update(this.blob(`sha256:${hex}`))
            .digest("hex"),
          hex,
        );
    }

    blob(digest: string): Buffer {
      return readFileSync(join(this.folder, "blobs", digest.replace(":", "/")));
    }

    document(digest: string): Document {
      return JSON.parse(this.blob(digest).toString()) as Document;
    }

    get top(): Descriptor {
      const { manifests } = JSON.parse(readFileSync(join(this.folder, "index.json"), "utf8")) as Document;
      assert.equal(manifests.length, 1);
      return manifests[0] as Descriptor;
    }
  }

  async function layout(folder: string, options: string, ...flags: string[]): Promise<Layout> {
    const dest = join(root, `layout-${count++}`);
    await gantry.ok("build", "-o", `type=oci,tar=false,dest=${dest}${options}`, ...flags, folder);
    return new Layout(dest);
  }

  const types = ({ layers }: Document) => layers.map(({ mediaType }) => mediaType.replace(/.*\.(?:v1|diff)\./, ""));

  async function fetched(path: string): Promise<Document & { readonly own: string }> {
    const answer = await registry.fetch("GET", `/v2/app/${path}`, { headers: { Accept: ACCEPT } });
    assert.equal(answer.status, 200, path);
    const own = answer.headers.get("Docker-Content-Digest") ?? "";
    return { ...((await answer.json()) as Document), own };
  }

  test("layers become gzip or zstd at any level, those of the base too when forced; the image is the same", async () => {
    const plain = await layout(one, "");
    const { config } = plain.document(plain.top.digest);
    const sizes: Record<string, number> = {};
    const unpacked = (document: Document, from: Layout, unpack: (data: Buffer) => Buffer) =>
      document.layers.map(({ digest }) =>
        createHash("sha256")
          .update(unpack(from.blob(digest)))
          .digest("hex"),
      );
    const contents = unpacked(plain.document(plain.top.digest), plain, (data) => data);
    for (const [options, kind, unpack] of [
      [",compression=gzip,compression-level=0", "tar+gzip", gunzipSync],
      [",compression=gzip,compression-level=9", "tar+gzip", gunzipSync],
      [",compression=zstd", "tar+zstd", zstdDecompressSync],
      [",compression=zstd,compression-level=19,force-compression=true", "tar+zstd", zstdDecompressSync],
      [",compression=uncompressed", "tar", (data: Buffer) => data],
    ] as const) {
      const made = await layout(one, options);
      const document = made.document(made.top.digest);
      assert.deepEqual(types(document), [kind, kind, kind]);
      assert.equal(document.config.digest, config.digest);
      assert.deepEqual(unpacked(document, made, unpack), contents);
      sizes[options] = document.layers.reduce((sum, { size }) => sum + size, 0);
      assert.equal((await layout(one, options)).top.digest, made.top.digest);
    }
    const [none = 0, best = 0, zstd = 0, slow = 0] = Object.values(sizes);
    assert.ok(none > best && zstd > slow, JSON.stringify(sizes));
  });

  test("a base that is compressed stays as it is, unless all are to be converted", async () => {
    await gantry.ok("build", "-o", "type=image,name=zbase,compression=zstd", one);
    writeFileSync(join(root, "Above"), "FROM zbase\nRUN echo above >/above\n");
    const flags = ["-f", join(root, "Above")];
    const mixed = await layout(one, ",compression=gzip", ...flags);
    assert.deepEqual(types(mixed.document(mixed.top.digest)), ["tar+zstd", "tar+zstd", "tar+zstd", "tar+gzip"]);
    const forced = await layout(one, ",compression=gzip,force-compression=true", ...flags);
    assert.deepEqual(types(forced.document(forced.top.digest)), Array(4).fill("tar+gzip"));
    const bare = await layout(one, ",compression=uncompressed,force-compression=true", ...flags);
    assert.deepEqual(types(bare.document(bare.top.digest)), Array(4).fill("tar"));
    assert.equal((await gantry.ok("run", "--rm", "--network", "none", "zbase", "cat", "/made")).trim(), "made");
  });

  test("media types are Docker's where that is asked for, and archives of them load and run", async () => {
    const made = await layout(one, ",oci-mediatypes=false,compression=gzip");
    const document = made.document(made.top.digest);
    assert.equal(document.mediaType, `${DOCKER}.distribution.manifest.v2+json`);
    assert.equal(document.config.mediaType, `${DOCKER}.container.image.v1+json`);
    assert.deepEqual(
      new Set(document.layers.map(({ mediaType }) => mediaType)),
      new Set([`${DOCKER}.image.rootfs.diff.tar.gzip`]),
    );
    const archive = join(root, "zstd.tar");
    await gantry.ok("build", "-o", `type=docker,dest=${archive},compression=zstd,name=again:1`, one);
    assert.match(await gantry.ok("load", "-i", archive), /again:1/);
    assert.equal((await gantry.ok("run", "--rm", "--network", "none", "again:1", "cat", "/made")).trim(), "made");
    // Annotations are OCI's alone.
    const annotated = await layout(one, ",oci-mediatypes=false,annotation.a=b");
    assert.equal(annotated.document(annotated.top.digest).mediaType, `${OCI}.manifest.v1+json`);
  });

  test("annotations come where they belong, of one platform or all, by options and by the flag", async () => {
    const single = await layout(
      one,
      ",annotation.org.Example.Key=a,annotation-manifest-descriptor.d=e",
      "--annotation",
      "f=g=h",
    );
    assert.deepEqual(single.document(single.top.digest).annotations, { "org.Example.Key": "a", f: "g=h" });
    assert.equal(single.top.annotations?.d, "e");
    const flags = [
      "manifest:m=all",
      "manifest[linux/arm64]:m=arm",
      "index,manifest-descriptor[linux/amd64]:x=y",
      "index-descriptor:i=d",
    ];
    const several = await layout(two, "", BOTH, ...flags.flatMap((word) => ["--annotation", word]));
    const index = several.document(several.top.digest);
    assert.equal(several.top.annotations?.i, "d");
    assert.deepEqual(index.annotations, { x: "y" });
    const [amd, arm] = index.manifests;
    assert.deepEqual([amd?.platform?.architecture, arm?.platform?.architecture], ["amd64", "arm64"]);
    assert.deepEqual([amd?.annotations, arm?.annotations], [{ x: "y" }, undefined]);
    assert.deepEqual(several.document(amd?.digest ?? "").annotations, { m: "all" });
    assert.deepEqual(several.document(arm?.digest ?? "").annotations, { m: "arm" });
  });

  test("what cannot be is refused before anything is built", async () => {
    const wrong: readonly (readonly [message: RegExp, ...flags: string[]])[] = [
      [
        /unsupported layer compression type lzma\nThere are uncompressed, gzip, zstd/,
        "-o",
        "type=image,compression=lzma",
      ],
      [/unsupported layer compression type estargz/, "-o", "type=oci,dest=/dev/null,compression=estargz"],
      [
        /invalid compression-level "23" of zstd\nIt is a number from 0 to 22/,
        "-o",
        "type=image,compression=zstd,compression-level=23",
      ],
      [/non-bool value "maybe" specified for oci-mediatypes/, "-o", "type=image,oci-mediatypes=maybe"],
      [/index annotations not supported for single platform export/, "--annotation", "index:a=b"],
      [/unknown annotation type "nothing"/, "--annotation", "nothing:a=b"],
      [/invalid annotation "a", expected key=value/, "--annotation", "a"],
      [/annotations need an output that is an image/, "--annotation", "a=b", "-o", join(root, "nowhere")],
      [/can't push tagged ref x:1 by digest/, "-o", "type=image,name=x:1,push=true,push-by-digest=true"],
      [
        /no compression=zstd of the image output beside compression=gzip/,
        "-o",
        "type=image,compression=gzip",
        "-o",
        "type=image,compression=zstd",
      ],
      [/the image output has no store=false/, "-o", "type=image,store=false"],
      [
        /rewrite-timestamp=false cannot be had/,
        "-o",
        "type=image,rewrite-timestamp=false",
        "--build-arg",
        "SOURCE_DATE_EPOCH=5",
      ],
      [/attestations are not supported/, "--provenance=mode=max"],
    ];
    for (const [message, ...flags] of wrong) {
      const { code, out, err } = await gantry.run("build", ...flags, one);
      assert.notEqual(code, 0, flags.join(" "));
      assert.match(out + err, message);
    }
    await gantry.ok("build", "--provenance=false", "--sbom=false", "-o", "type=image,rewrite-timestamp=true", one);
  });

  test("a push sends what was asked for; of several platforms the layers go compressed", async () => {
    const name = `${registry.host}/app`;
    const push = (options: string, ...flags: string[]) =>
      gantry.ok("build", "-o", `type=image,push=true,name=${name}:${options}`, ...flags);
    await push("zstd,compression=zstd,annotation.a=b", one);
    const zstd = await fetched("manifests/zstd");
    assert.deepEqual(types(zstd), ["tar+zstd", "tar+zstd", "tar+zstd"]);
    assert.deepEqual(zstd.annotations, { a: "b" });
    await push("plain,compression=uncompressed", one);
    assert.deepEqual(types(await fetched("manifests/plain")), ["tar", "tar", "tar"]);
    await push("kept,annotation.a=b", one);
    const kept = await fetched("manifests/kept");
    assert.deepEqual([types(kept), kept.annotations], [["tar+gzip", "tar+gzip", "tar+gzip"], { a: "b" }]);
    await push("several", BOTH, two);
    const several = await fetched("manifests/several");
    assert.equal(several.mediaType, `${OCI}.index.v1+json`);
    for (const { digest } of several.manifests)
      assert.deepEqual(types(await fetched(`manifests/${digest}`)), ["tar+gzip"]);
    await gantry.ok("rmi", "-f", `${name}:zstd`);
    assert.equal((await gantry.ok("run", "--rm", "--network", "none", `${name}:zstd`, "cat", "/made")).trim(), "made");
  });

  test("a push by digest gives the registry no tag, and the metadata the digest; names by digest are known here", async () => {
    const [name, metadata] = [`${registry.host}/digests`, join(root, "metadata.json")];
    const output = `type=image,name=${name},push=true,push-by-digest=true,name-canonical=true`;
    await gantry.ok("build", "-o", output, "--metadata-file", metadata, one);
    const told = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, string>;
    const digest = told["containerimage.digest"] ?? "";
    assert.equal(told["image.name"], `${name}@${digest}`);
    const answer = await registry.fetch("GET", `/v2/digests/manifests/${digest}`, { headers: { Accept: ACCEPT } });
    assert.equal(answer.status, 200);
    const tags = await registry.fetch("GET", "/v2/digests/tags/list");
    assert.deepEqual(((await tags.json()) as { tags: string[] | null }).tags ?? [], []);
    assert.equal(
      (await gantry.ok("run", "--rm", "--network", "none", `${name}@${digest}`, "cat", "/made")).trim(),
      "made",
    );
    await gantry.ok("build", "-o", "type=image,name=canonical:1,name-canonical=true", "--metadata-file", metadata, one);
    const named = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, string>;
    assert.match(named["image.name"] ?? "", /^docker\.io\/library\/canonical:1,docker\.io\/library\/canonical@sha256:/);
    await gantry.ok("image", "inspect", `canonical@${named["containerimage.digest"]}`);
  });
});
