/** An image's life against a real daemon, once with the docker CLI and once with gantry. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { digestOf } from "../base/digest.ts";
import { MEDIA } from "../oci/media-types.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import { startDaemon, type TestDaemon } from "../testing/daemon.ts";
import {
  blobFile,
  makeImage,
  makeTar,
  OCI_LAYOUT_FILE,
  ociBlobs,
  ociDescriptor,
  ociIndex,
  ociManifest,
  type TestImage,
} from "../testing/image-archives.ts";

const GANTRY = join(import.meta.dirname, "..", "..", "bin", "gantry");
const HOST = { os: HOST_PLATFORM.os, architecture: HOST_PLATFORM.architecture };
const OTHER = { os: "linux", architecture: HOST.architecture === "s390x" ? "arm64" : "s390x" };
const isRoot = process.getuid?.() === 0;

interface Answer {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

for (const [name, program] of [
  ["docker", "docker"],
  ["gantry", GANTRY],
] as const) {
  const isThere = spawnSync(program, ["--version"]).error === undefined;
  describe(`images with ${name}`, { skip: !isRoot ? "needs root" : isThere ? false : `no ${name} here` }, () => {
    let daemon: TestDaemon;
    let multi: {
      readonly mine: TestImage;
      readonly other: TestImage;
      readonly index: Buffer;
      readonly archive: string;
    };

    before(async () => {
      daemon = await startDaemon();
      multi = await makeMulti(join(daemon.folder, "multi.tar"));
    });
    after(() => daemon[Symbol.asyncDispose]());

    const ask = (...args: readonly string[]): Answer => {
      const env = { PATH: process.env.PATH, HOME: daemon.folder, DOCKER_HOST: daemon.host, DOCKER_CLI_HINTS: "false" };
      const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: "utf8", maxBuffer: 1 << 28 });
      return { code: status, out: stdout, err: stderr };
    };
    const run = (...args: readonly string[]): string => {
      const { code, out, err } = ask(...args);
      assert.equal(code, 0, `${name} ${args.join(" ")}: ${err}`);
      return out.trim();
    };
    const platformOf = ({ os, architecture }: typeof HOST) => `${os}/${architecture}`;
    const id = (reference: string, ...flags: readonly string[]) =>
      run("image", "inspect", ...flags, "-f", "{{.Id}}", reference);

    test("an archive of several platforms is loaded, shown, saved and removed whole", () => {
      assert.equal(run("load", "-q", "-i", multi.archive), "Loaded image: example.com/multi:1");
      assert.equal(id("example.com/multi:1"), multi.mine.id);
      assert.equal(id("example.com/multi:1", "--platform", platformOf(OTHER)), multi.other.id);
      assert.match(
        run("image", "inspect", "-f", "{{.RepoDigests}}", "example.com/multi:1"),
        new RegExp(digestOf(multi.index)),
      );
      const tree = run("images", "--tree");
      assert.match(tree, /─ linux\/s390x|─ linux\/arm64/);
      assert.match(
        run("history", "--platform", platformOf(OTHER), "--format", "{{.CreatedBy}}", "example.com/multi:1"),
        /ADD other/,
      );
      const saved = join(daemon.folder, "saved.tar");
      run("save", "-o", saved, "example.com/multi:1");
      for (const bytes of [multi.index, ociManifest(multi.other), ociManifest(multi.mine)])
        assert.ok(readFileSync(saved).includes(digestOf(bytes).slice(7)));
      run("rmi", "example.com/multi:1");
      assert.equal(ask("image", "inspect", multi.other.id).code, 1);
      run("load", "-q", "-i", saved);
      assert.equal(id("example.com/multi:1", "--platform", platformOf(OTHER)), multi.other.id);
    });

    test("one platform is saved, loaded and removed by itself", () => {
      const one = join(daemon.folder, "one.tar");
      run("save", "--platform", platformOf(OTHER), "-o", one, "example.com/multi:1");
      const removed = run("image", "rm", "--platform", platformOf(OTHER), "example.com/multi:1");
      assert.match(removed, new RegExp(`Deleted: ${digestOf(ociManifest(multi.other))}`));
      const missing = ask("image", "inspect", "--platform", platformOf(OTHER), "example.com/multi:1");
      assert.notEqual(missing.code, 0);
      assert.match(missing.err, /does not provide the specified platform/);
      const refused = ask("run", "--pull", "never", "--platform", platformOf(OTHER), "example.com/multi:1", "true");
      assert.equal(refused.code, 125);
      run("load", "-q", "--platform", platformOf(OTHER), "-i", multi.archive);
      assert.equal(id("example.com/multi:1", "--platform", platformOf(OTHER)), multi.other.id);
      assert.equal(id("example.com/multi:1"), multi.mine.id);
      run("rmi", "example.com/multi:1");
      run("load", "-q", "-i", one);
      assert.equal(id("example.com/multi:1"), multi.other.id);
      const warned = ask("create", "example.com/multi:1", "x");
      assert.match(
        warned.err,
        /WARNING: The requested image's platform \(\S+\) does not match the detected host platform/,
      );
      run("rm", warned.out.trim());
      run("rmi", "example.com/multi:1");
    });

    test("a container of another platform unpacks its image, and holds the whole", () => {
      run("load", "-q", "-i", multi.archive);
      const container = run("create", "--platform", platformOf(OTHER), "example.com/multi:1", "x");
      assert.equal(run("inspect", "-f", "{{.Image}}", container), multi.other.id);
      const manifest = run("inspect", "-f", "{{.ImageManifestDescriptor.Digest}}", container);
      assert.equal(manifest, digestOf(ociManifest(multi.other)));
      assert.match(run("ps", "-a", "--format", "{{.Image}}"), /example\.com\/multi:1/);
      const refused = ask("rmi", "example.com/multi:1");
      assert.match(refused.err, /conflict: unable to remove repository reference .* \(must force\)/);
      const copied = join(daemon.folder, "copied");
      run("cp", `${container}:/file1`, copied);
      assert.equal(readFileSync(copied, "utf8"), "other");
      run("rm", container);
      run("rmi", "example.com/multi:1");
    });

    test("a commit has changes, author, message and the container's files", () => {
      const container = run("run", "-d", "busybox", "sh", "-c", "echo made > /made; sleep 100");
      run("exec", container, "sh", "-c", "until test -s /made; do :; done");
      const made = run(
        "commit",
        "-a",
        "me <me@example.com>",
        "-m",
        "why",
        "-c",
        'CMD ["cat", "/made"]',
        "-c",
        "ENV A=b",
        container,
        "made:1",
      );
      assert.equal(id("made:1"), made);
      const [author, comment, command] = run(
        "image",
        "inspect",
        "-f",
        "{{.Author}}|{{.Comment}}|{{.Config.Cmd}}",
        made,
      ).split("|");
      assert.deepEqual([author, comment, command], ["me <me@example.com>", "why", "[cat /made]"]);
      assert.match(run("image", "inspect", "-f", "{{.Config.Env}}", made), /A=b/);
      assert.equal(run("run", "--rm", "made:1"), "made");
      const [top] = run("history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedBy}}|{{.Comment}}", "made:1").split(
        "\n",
      );
      assert.equal(top, `${made}|sh -c echo made > /made; sleep 100|why`);
      assert.equal(run("inspect", "-f", "{{.State.Status}}", container), "running");
      run("rm", "-f", container);
      const parent = ask("rmi", "-f", id("busybox"));
      assert.match(parent.err, /image has dependent child images/);
      run("rmi", "made:1");
    });

    test("what is exported is imported, from a file", () => {
      const container = run("create", "busybox");
      const flat = join(daemon.folder, "flat.tar");
      run("export", "-o", flat, container);
      run("rm", container);
      const imported = run(
        "import",
        "-m",
        "flat",
        "-c",
        "CMD echo imported",
        "--platform",
        platformOf(HOST),
        flat,
        "flat:1",
      );
      assert.equal(id("flat:1"), imported);
      assert.equal(run("run", "--rm", "flat:1"), "imported");
      assert.equal(run("history", "--format", "{{.Comment}}", "flat:1"), "flat");
      assert.equal(run("rmi", "flat:1").split("\n")[0], "Untagged: flat:1");
    });

    test("removing tells untag and delete, and refuses what is used", () => {
      run("tag", "busybox", "second:1");
      const busybox = id("busybox");
      assert.match(ask("rmi", busybox).err, /must be forced\) - image is referenced in multiple repositories/);
      const since = String(Date.now() / 1000);
      assert.equal(run("rmi", "second:1"), "Untagged: second:1");
      const container = run("run", "-d", "busybox", "sleep", "100");
      assert.match(ask("rmi", "-f", busybox).err, /cannot be forced\) - image is being used by running container/);
      run("rm", "-f", container);
      const stopped = run("create", "busybox");
      assert.match(ask("rmi", "busybox").err, /must force\) - container \w{12} is using its referenced image/);
      run("rmi", "-f", "busybox");
      assert.notEqual(ask("image", "inspect", "busybox").code, 0);
      run("rm", stopped);
      const events = run(
        "events",
        "--since",
        since,
        "--until",
        String(Math.floor(Date.now() / 1000) + 1),
        "--filter",
        "type=image",
        "--format",
        "{{.Action}}",
      );
      assert.deepEqual(events.split("\n"), ["untag", "untag", "delete"]);
      run("load", "-q", "-i", daemon.archive);
    });

    test("prune takes what the filters say; df adds up to what du says", () => {
      const folder = join(daemon.folder, "built");
      mkdirSync(folder, { recursive: true });
      for (const tag of ["one", "two"]) {
        writeFileSync(join(folder, "file"), tag.repeat(100_000));
        run("import", "-c", `LABEL which=${tag}`, tarOf(folder, join(daemon.folder, `${tag}.tar`)), `${tag}:1`);
      }
      run("tag", "one:1", "two:1");
      assert.equal(run("images", "-q", "--filter", "dangling=true").split("\n").length, 1);
      assertAddsUp();
      assert.match(run("image", "prune", "-f", "--filter", "label=which=nope"), /reclaimed space: 0B/);
      assert.match(
        run("image", "prune", "-f", "--filter", "label=which=two"),
        /deleted: sha256:\w+\n.*reclaimed space: [1-9]/s,
      );
      assert.match(
        run("image", "prune", "-af", "--filter", "label!=which", "--filter", "until=1s"),
        /untagged: busybox/,
      );
      assertAddsUp();
      assert.match(run("image", "prune", "-af"), /untagged: one:1/);
      run("load", "-q", "-i", daemon.archive);
      assertAddsUp();
    });

    function assertAddsUp(): void {
      const folders = ["content/blobs", "snapshots"].map((part) => join(daemon.dataRoot, part));
      const total = /(\d+)\ttotal/.exec(spawnSync("du", ["-scB1", ...folders], { encoding: "utf8" }).stdout)?.[1];
      const usage = JSON.parse(run("system", "df", "-v", "--format", "json")) as { Images: Row[] };
      assert.equal(usage.Images.length > 0, true);
      // The folders that hold blobs and layers are no image's.
      const own = 4096 * 6;
      const said = Number(imagesSize());
      assert.ok(Math.abs(Number(total) - said) < own, `du says ${total}, df ${said}`);
    }

    interface Row {
      readonly Size: string;
    }

    function imagesSize(): number {
      const answer = spawnSync("curl", [
        "-s",
        "--unix-socket",
        daemon.host.slice(7),
        "http://d/v1.51/system/df?type=image",
      ]);
      return JSON.parse(answer.stdout.toString()).LayersSize;
    }
  });
}

function tarOf(folder: string, file: string): string {
  spawnSync("tar", ["-cf", file, "-C", folder, "."]);
  return file;
}

async function makeMulti(archive: string) {
  const mine = await makeImage({ layers: ["base", "mine"], compress: "gzip" });
  const other = await makeImage({ layers: ["base", "other"], compress: "gzip", file: OTHER });
  const index = ociIndex([
    ociDescriptor({ image: other, platform: OTHER }),
    ociDescriptor({ image: mine, platform: HOST }),
  ]);
  const named = { "io.containerd.image.name": "example.com/multi:1", "org.opencontainers.image.ref.name": "1" };
  writeFileSync(
    archive,
    await makeTar([
      OCI_LAYOUT_FILE,
      [
        "index.json",
        ociIndex([{ mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length, annotations: named }]),
      ],
      blobFile(index),
      ...ociBlobs([mine, other]),
    ]),
  );
  return { mine, other, index, archive };
}
