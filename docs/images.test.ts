/** The commands of images.md, run in their order against a real daemon. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { digestOf } from "../src/base/digest.ts";
import { MEDIA } from "../src/oci/media-types.ts";
import { startDaemon } from "../src/testing/daemon.ts";
import {
  blobFile,
  makeImage,
  makeTar,
  OCI_LAYOUT_FILE,
  ociBlobs,
  ociDescriptor,
  ociIndex,
} from "../src/testing/image-archives.ts";

const GANTRY = join(import.meta.dirname, "..", "bin", "gantry");
const skip = process.getuid?.() === 0 ? false : "needs root";

test("every command of the page does what it says", { skip }, async () => {
  await using daemon = await startDaemon({ image: false });
  writeFileSync(join(daemon.folder, "multi.tar"), await multiArchive());
  const env = { PATH: process.env.PATH, HOME: daemon.folder, DOCKER_HOST: daemon.host };
  const page = readFileSync(join(import.meta.dirname, "images.md"), "utf8");
  const lines = [...page.matchAll(/^ {4}gantry (.*?)(?:\s{2,}#.*)?$/gm)].map((match) => match[1] ?? "");
  assert.ok(lines.length > 8);
  for (const line of lines) {
    const words = line.split(" ").concat(line.startsWith("image prune") ? ["-f"] : []);
    const { status, stderr } = spawnSync(GANTRY, words, {
      env,
      cwd: daemon.folder,
      encoding: "utf8",
      maxBuffer: 1 << 26,
    });
    // What is in the image is no program: the runtime says so.
    const expected = line.startsWith("run ") ? [127] : [0];
    assert.ok(expected.includes(status ?? -1), `gantry ${line}: ${status} ${stderr}`);
    if (line.startsWith("run ")) spawnSync(GANTRY, ["container", "prune", "-f"], { env });
  }
});

/** "multi:1" for amd64 and arm64. */
async function multiArchive(): Promise<Buffer> {
  const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
  const images = await Promise.all(platforms.map((file) => makeImage({ layers: [file.architecture], file })));
  const index = ociIndex(
    images.map((image, at) => ociDescriptor({ image, platform: platforms[at] ?? { os: "", architecture: "" } })),
  );
  const annotations = {
    "io.containerd.image.name": "docker.io/library/multi:1",
    "org.opencontainers.image.ref.name": "1",
  };
  const top = ociIndex([{ mediaType: MEDIA.ociIndex, digest: digestOf(index), size: index.length, annotations }]);
  return await makeTar([OCI_LAYOUT_FILE, ["index.json", top], blobFile(index), ...ociBlobs(images)]);
}
