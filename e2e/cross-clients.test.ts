/**
 * Every client with every registry: docker CLI and gantry (over gantryd), skopeo and podman push to and pull from Gantry's registry and
 * Debian's docker-registry, and all of them see the same digests.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "../src/base/digest.ts";
import { MEDIA } from "../src/oci/media-types.ts";
import { HOST_PLATFORM } from "../src/oci/platform.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { startDebianRegistry } from "../src/testing/debian-registry.ts";
import {
  blobFile,
  makeImage,
  makeTar,
  OCI_LAYOUT_FILE,
  ociBlobs,
  ociDescriptor,
  ociFiles,
  ociIndex,
  ociManifest,
  type TarFile,
  type TestImage,
} from "../src/testing/image-archives.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";
import { startRegistryProcess } from "./lib/registry-process.ts";

const exec = promisify(execFile);

/** What a client pulled: the manifest's digest as it understood it, and the image's id. */
interface Pulled {
  readonly digest: string;
  readonly id: string;
}

interface Client {
  /** Sends the image of the archive under this name. */
  push(name: string): Promise<void>;
  /** Anew: what it has under that name goes first. */
  pull(name: string): Promise<Pulled>;
  /** What was pulled as `from` goes out under another name. */
  pass(from: string, to: string): Promise<void>;
}

const CLIENTS = ["docker", "gantry", "skopeo", "podman"] as const;
type ClientName = (typeof CLIENTS)[number];
const REGISTRIES = ["gantry", "docker-registry"] as const;

const work = mkdtempSync(join(tmpdir(), "gantry-cross-"));
let daemon: TestDaemon;
let imageId: string;
/** The daemon's busybox in its parts, its layer plain. */
let box: TestImage;
const hosts: Record<string, string> = {};
const closing: AsyncDisposable[] = [];
const clients: Partial<Record<ClientName, Client>> = {};

before(async () => {
  const own = await startRegistryProcess("--root", join(work, "registry"));
  closing.push(own);
  const debian = await startDebianRegistry();
  closing.push(debian);
  Object.assign(hosts, { gantry: own.host, "docker-registry": debian.host });
  daemon = await startDaemon();
  closing.push(daemon);
  imageId = (await daemon.call<{ Id: string }>("GET", "/images/busybox/json")).Id;
  for (const name of ["docker", "gantry"] satisfies CliName[]) clients[name] = engineClient(new Cli(name, daemon));
  box = boxOf(daemon.archive);
  clients.skopeo = skopeoClient();
  clients.podman = podmanClient();
});
after(async () => {
  for (const one of closing.toReversed()) await one[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

for (const registry of REGISTRIES)
  for (const pusher of CLIENTS)
    describe(`what ${pusher} pushes to ${registry}`, { skip: without(pusher) }, () => {
      const nameOf = () => `${hosts[registry]}/cross/${pusher}:1`;
      let digest: string;
      before(async () => {
        await clientOf(pusher).push(nameOf());
        digest = await digestAt(nameOf());
      });
      for (const puller of CLIENTS)
        test(`${puller} pulls, with the same digests`, { skip: without(puller) }, async () => {
          assert.deepEqual(await clientOf(puller).pull(nameOf()), { digest, id: imageId });
        });
    });

for (const name of CLIENTS)
  for (const [from, to] of [REGISTRIES, REGISTRIES.toReversed()] as [string, string][])
    test(`${name} carries an image from ${from} to ${to}, byte by byte`, { skip: without(name) }, async () => {
      const [source, target] = [`${hosts[from]}/cross/${name}:1`, `${hosts[to]}/carried/${name}:1`];
      await clientOf(name).pull(source);
      await clientOf(name).pass(source, target);
      assert.equal(await digestAt(target), await digestAt(source));
    });

const SKIPPED_FRAME = Buffer.from("5d2a4d1804000000cafecafe", "hex");
const PACKINGS: Readonly<Record<string, (layer: Buffer) => Buffer>> = {
  plain: (layer) => layer,
  gzip: (layer) => gzipSync(layer),
  zstd: (layer) => zstdCompressSync(layer),
  // As zstd:chunked has them.
  "zstd in frames": (layer) => {
    const middle = layer.length >> 1;
    const frames = [layer.subarray(0, middle), layer.subarray(middle)].map((part) => zstdCompressSync(part));
    return Buffer.concat([...frames, SKIPPED_FRAME]);
  },
};
for (const [packing, pack] of Object.entries(PACKINGS))
  test(`an image of a ${packing} layer is pulled by every client, runs, and goes out as it came`, async (t) => {
    if (without("skopeo")) return t.skip("no skopeo on this machine");
    const image = { ...box, layers: box.layers.map(pack) };
    const archive = join(work, "packed.tar");
    writeFileSync(archive, await makeTar(ociFiles([{ image }])));
    const tag = packing.replaceAll(" ", "-");
    const [source, target] = [`${hosts.gantry}/packed/as:${tag}`, `${hosts["docker-registry"]}/packed/as:${tag}`];
    const flags = ["--insecure-policy", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false"];
    await exec("skopeo", [...flags, `oci-archive:${archive}`, `docker://${source}`]);
    const digest = digestOf(ociManifest(image));
    assert.equal(await digestAt(source), digest);
    for (const name of CLIENTS.filter((one) => !without(one)))
      assert.deepEqual(await clientOf(name).pull(source), { digest, id: imageId }, name);
    for (const name of (["docker", "gantry"] as const).filter((one) => !missing(one))) {
      const cli = new Cli(name, daemon);
      assert.equal(await cli.ok("run", "--rm", "--pull", "always", source, "echo", "unpacked"), "unpacked");
      await clientOf(name).pass(source, target);
      assert.equal(await digestAt(target), digest);
    }
  });

test("an index with platforms, zstd layers and attestations is carried whole", async (t) => {
  if (without("skopeo")) return t.skip("no skopeo on this machine");
  const files = await wholeIndex();
  const archive = join(work, "index.tar");
  writeFileSync(archive, await makeTar(files.files));
  const [source, target] = [`${hosts.gantry}/whole/index:1`, `${hosts["docker-registry"]}/whole/index:1`];
  const copy = ["--insecure-policy", "copy", "-q", "--all", "--preserve-digests"];
  const lax = ["--src-tls-verify=false", "--dest-tls-verify=false"];
  await exec("skopeo", [...copy, ...lax, `oci-archive:${archive}`, `docker://${source}`]);
  assert.equal(await digestAt(source), files.digest);
  const cli = new Cli("gantry", daemon);
  await cli.ok("pull", "-q", "--platform", "all", source);
  await cli.ok("tag", source, target);
  await cli.ok("push", "-q", target);
  assert.equal(await digestAt(target), files.digest);
  await exec("skopeo", [...copy, ...lax, `docker://${target}`, `dir:${join(work, "whole")}`]);
  for (const name of ["docker", "gantry", "podman"] as const)
    if (!without(name)) assert.equal((await clientOf(name).pull(target)).id, files.hostId, name);
  for (const name of (["docker", "gantry"] as const).filter((one) => !missing(one))) {
    const other = new Cli(name, daemon);
    // Beside the machine's own it would not be the one that is shown.
    await other.run("rmi", "-f", target);
    await other.ok("pull", "-q", "--platform", "linux/s390x", target);
    assert.equal(await other.ok("image", "inspect", "-f", "{{.Architecture}}", target), "s390x");
    const refused = await other.run("pull", "--platform", "linux/riscv64", target);
    assert.deepEqual(
      [refused.code, /no matching manifest for linux\/riscv64/.test(refused.err)],
      [1, true],
      refused.err,
    );
  }
});

function boxOf(archive: string): TestImage {
  const file = (path: string) => execFileSync("tar", ["-xOf", archive, path], { maxBuffer: 64 << 20 });
  const [{ Config, Layers }] = JSON.parse(file("manifest.json").toString());
  const [config, layers] = [file(Config), Layers.map(file) as Buffer[]];
  return { id: digestOf(config), config, layers, diffIds: layers.map((layer) => digestOf(layer)) };
}

/** The machine's platform in gzip, another in zstd, and an attestation for the first. */
async function wholeIndex(): Promise<{ files: TarFile[]; digest: string; hostId: string }> {
  const host = await makeImage({ layers: ["host"], compress: "gzip" });
  const other = { os: "linux", architecture: "s390x" };
  const foreign = await makeImage({ layers: ["foreign"], compress: "zstd", file: other });
  const statement = Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}');
  const config = Buffer.from(
    JSON.stringify({
      os: "unknown",
      architecture: "unknown",
      rootfs: { type: "layers", diff_ids: [digestOf(statement)] },
    }),
  );
  const described = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const layers = [described("application/vnd.in-toto+json", statement)];
  const attestation = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      config: described(MEDIA.ociConfig, config),
      layers,
    }),
  );
  const hostEntry = ociDescriptor({
    image: host,
    platform: { os: HOST_PLATFORM.os, architecture: HOST_PLATFORM.architecture },
  });
  const index = ociIndex([
    hostEntry,
    ociDescriptor({ image: foreign, platform: other }),
    {
      ...described(MEDIA.ociManifest, attestation),
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": hostEntry.digest,
      },
    },
  ]);
  const files = [
    OCI_LAYOUT_FILE,
    ["index.json", ociIndex([described(MEDIA.ociIndex, index)])] as const,
    ...ociBlobs([host, foreign]),
    ...[index, attestation, config, statement].map(blobFile),
  ];
  return { files, digest: digestOf(index), hostId: host.id };
}

function clientOf(name: ClientName): Client {
  return clients[name] as Client;
}

/** CI must have all. */
function without(name: ClientName): string | false {
  if (name === "docker" || name === "gantry") return missing(name);
  if (process.env.CI === "true") return false;
  return spawnSync(name, ["--version"]).status === 0 ? false : `no ${name} on this machine`;
}

/** As the registry says, and as its bytes are. */
async function digestAt(name: string): Promise<string> {
  const [, host, path, tag] = /^([^/]+)\/(.+):([\w-]+)$/.exec(name) ?? [];
  const accept = [MEDIA.ociManifest, MEDIA.ociIndex, "application/vnd.docker.distribution.manifest.v2+json"];
  const answer = await fetch(`http://${host}/v2/${path}/manifests/${tag}`, { headers: { Accept: accept.join(", ") } });
  assert.equal(answer.status, 200);
  const bytes = Buffer.from(await answer.arrayBuffer());
  const digest = digestOf(bytes);
  assert.equal(answer.headers.get("docker-content-digest"), digest);
  return digest;
}

function engineClient(cli: Cli): Client {
  return {
    push: async (name) => {
      await cli.ok("load", "-q", "-i", daemon.archive);
      await cli.ok("tag", "busybox", name);
      await cli.ok("push", name);
    },
    pull: async (name) => {
      const images = (await cli.ok("images", "-q", "--no-trunc")).split("\n");
      await cli.run("rmi", "-f", ...images);
      const digest = /^Digest: (\S+)$/m.exec(await cli.ok("pull", name))?.[1] ?? "";
      const [{ Id, RepoDigests }] = JSON.parse(await cli.ok("image", "inspect", name));
      assert.deepEqual(RepoDigests, [`${name.replace(/:[\w-]+$/, "")}@${digest}`]);
      return { digest, id: Id };
    },
    pass: async (from, to) => {
      await cli.ok("tag", from, to);
      await cli.ok("push", to);
    },
  };
}

function skopeoClient(): Client {
  const copy = (...args: string[]) => exec("skopeo", ["--insecure-policy", "copy", "-q", ...args]);
  const layout = (name: string) => `dir:${join(work, digestOf(name).slice(7, 19))}`;
  return {
    push: async (name) => {
      await copy("--dest-tls-verify=false", `docker-archive:${daemon.archive}`, `docker://${name}`);
    },
    pull: async (name) => {
      const to = layout(name);
      await copy("--src-tls-verify=false", "--preserve-digests", `docker://${name}`, to);
      const manifest = readFileSync(join(to.slice(4), "manifest.json"));
      return { digest: digestOf(manifest), id: JSON.parse(manifest.toString()).config.digest };
    },
    pass: async (from, to) => {
      await copy("--dest-tls-verify=false", "--preserve-digests", layout(from), `docker://${to}`);
    },
  };
}

function podmanClient(): Client {
  const roots = ["--root", join(work, "p"), "--runroot", join(work, "r"), "--storage-driver", "vfs"];
  const podman = async (...args: string[]) => (await exec("podman", [...roots, ...args])).stdout.trim();
  return {
    push: async (name) => {
      await podman("load", "-q", "-i", daemon.archive);
      await podman("tag", imageId.slice(7), name);
      await podman("push", "-q", "--tls-verify=false", name);
    },
    pull: async (name) => {
      await podman("rmi", "-f", "-a");
      await podman("pull", "-q", "--tls-verify=false", name);
      const [{ Digest, Id }] = JSON.parse(await podman("image", "inspect", name));
      return { digest: Digest, id: `sha256:${Id}` };
    },
    pass: async (from, to) => {
      await podman("tag", from, to);
      await podman("push", "-q", "--tls-verify=false", to);
    },
  };
}
