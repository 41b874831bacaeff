/**
 * Every client with every registry: docker CLI and gantry (over gantryd), skopeo and podman push to and pull from Gantry's registry and
 * Debian's docker-registry, and all of them see the same digests.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { digestOf } from "../src/base/digest.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { startDebianRegistry } from "../src/testing/debian-registry.ts";
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
  const [, host, path, tag] = /^([^/]+)\/(.+):(\w+)$/.exec(name) ?? [];
  const accept = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
  const answer = await fetch(`http://${host}/v2/${path}/manifests/${tag}`, { headers: { Accept: accept.join(", ") } });
  assert.equal(answer.status, 200);
  const digest = digestOf(Buffer.from(await answer.arrayBuffer()));
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
      assert.deepEqual(RepoDigests, [`${name.replace(/:\w+$/, "")}@${digest}`]);
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
