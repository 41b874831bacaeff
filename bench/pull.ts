/**
 * A pull with everything that belongs to it (both digests, the blob kept, the layer unpacked), beside the same work by hand:
 * `curl | tee >(sha256sum) | gunzip | tar -x`, from the same registry on loopback to the same disk.
 * Usage: node bench/pull.ts [rounds; default 5] [case …: debian, small, random, memory]
 * Rounds alternate, so that the ratio means something where the machine is busy. The debian case needs mmdebstrap and a mirror.
 *
 * Of many files nothing is removed before the last round, and each round has a layer of its own: for five minutes ext4 passes over each
 * inode that was removed (recently_deleted in its ialloc.c), so that each new file would cost the more, the more were removed before it,
 * by whomever.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "../src/base/digest.ts";
import { MEDIA } from "../src/oci/media-types.ts";
import { HOST_PLATFORM } from "../src/oci/platform.ts";
import { openRemote, REMOTE_DEFAULTS } from "../src/remote/open.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { startDebianRegistry } from "../src/testing/debian-registry.ts";
import { type Figure, median, printFigures } from "./lib/table.ts";

const [roundsText = "5", ...chosen] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "gantry-bench-pull-"));

interface Case {
  readonly title: string;
  /** Writes a tar.gz. */
  readonly make: (path: string) => void;
  readonly manyFiles: boolean;
}

const CASES: Readonly<Record<string, Case>> = {
  debian: { title: "Debian base", make: makeDebian, manyFiles: true },
  small: { title: "50,000 small files", make: makeSmall, manyFiles: true },
  random: { title: "500 MB of random data", make: (path) => makeRandom(path, 500), manyFiles: false },
};

const registry = await startDebianRegistry();
const remote = openRemote({ settings: REMOTE_DEFAULTS });
try {
  const names = Object.keys(CASES).filter((name) => chosen.length === 0 || chosen.includes(name));
  const figures = [];
  for (const name of names) figures.push(await speed(name));
  if (chosen.length === 0 || chosen.includes("memory")) figures.push(await memory());
  printFigures(figures);
} finally {
  await remote.close();
  await registry[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
}

async function speed(name: string): Promise<Figure> {
  const { title, make, manyFiles } = CASES[name] as Case;
  const archive = join(work, `${name}.tar.gz`);
  make(archive);
  await using daemon = await startDaemon({ image: false });
  const { hand, gantry } = await compare(daemon, { name, archive, manyFiles });
  rmSync(archive);
  const floor = { what: "by hand", value: hand };
  return { what: `${title}: pull and unpack`, value: gantry, unit: "ms", floor, most: 1.3 };
}

/** Peak memory of a daemon that pulled a large layer, beside one that pulled a small one. */
async function memory(): Promise<Figure> {
  const peaks: number[] = [];
  for (const megabytes of [50, 800]) {
    const name = `random-${megabytes}`;
    const archive = join(work, `${name}.tar.gz`);
    makeRandom(archive, megabytes);
    await publish(name, archive);
    rmSync(archive);
    await using daemon = await startDaemon({ image: false });
    await pull(daemon, name);
    peaks.push(peakMemory(daemon));
  }
  const [small = 0, large = 0] = peaks;
  const floor = { what: "50 MB", value: small };
  return { what: "gantryd's peak memory, a layer of 800 MB", value: large, unit: "MiB", floor, most: 1.2 };
}

async function compare(
  daemon: TestDaemon,
  { name, archive, manyFiles }: { name: string; archive: string; manyFiles: boolean },
): Promise<{ hand: number; gantry: number }> {
  const times = { hand: [] as number[], gantry: [] as number[] };
  for (let round = -1; round < Number(roundsText); round++) {
    const image = `${name}-${round + 1}`;
    const layer = await publish(image, archive);
    // What is written late must not go to the disk in the time of the other.
    execFileSync("sync");
    const target = join(work, image);
    mkdirSync(target);
    const hand = await timed(() => byHand(`http://${registry.host}/v2/${image}/blobs/${layer}`, target));
    if (!manyFiles) execFileSync("rm", ["-rf", target]);
    execFileSync("sync");
    const gantry = await timed(() => pull(daemon, image));
    if (!manyFiles) await daemon.call("DELETE", `/images/${registry.host}/${image}:1?force=1`);
    // The first ones warm up.
    if (round < 0) continue;
    times.hand.push(hand);
    times.gantry.push(gantry);
    if (process.env.VERBOSE) console.log(name, Math.round(hand), Math.round(gantry));
  }
  return { hand: median(times.hand), gantry: median(times.gantry) };
}

async function pull(daemon: TestDaemon, name: string): Promise<void> {
  const image = encodeURIComponent(`${registry.host}/${name}`);
  const told = await daemon.call<string>("POST", `/images/create?fromImage=${image}&tag=1`);
  if (!told.includes("Downloaded newer image")) throw new Error(`the pull failed: ${told.slice(-500)}`);
}

function byHand(url: string, target: string): void {
  const script = `set -o pipefail; curl -sf '${url}' | tee >(sha256sum >'${work}/sum') | gunzip | tar -x -C '${target}'`;
  const { status } = spawnSync("bash", ["-c", script]);
  if (status !== 0) throw new Error(`the work by hand ended with ${status}`);
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** An image of one layer: the archive's, behind a file of the image's name, which makes it one of its own. The layer's digest. */
async function publish(name: string, base: string): Promise<string> {
  const archive = join(work, "layer.tar.gz");
  writeFileSync(join(work, "name"), name);
  // Neither the end of an archive nor one gzip member alone: what follows belongs to it.
  const script = 'tar -c -C "$1" name | head -c 1024 | gzip -c | cat - "$2" > "$3"';
  execFileSync("sh", ["-c", script, "sh", work, base, archive]);
  const repository = remote.repository({ domain: registry.host, path: name, tag: "1" }, { access: "push" });
  const digest = `sha256:${execFileSync("sha256sum", [archive], { encoding: "utf8" }).slice(0, 64)}`;
  const plain = execFileSync("sh", ["-c", 'gzip -dc "$1" | sha256sum', "sh", archive], { encoding: "utf8" });
  const config = Buffer.from(
    JSON.stringify({ ...HOST_PLATFORM, rootfs: { type: "layers", diff_ids: [`sha256:${plain.slice(0, 64)}`] } }),
  );
  const layer = { mediaType: MEDIA.ociLayerGzip, digest, size: statSync(archive).size };
  const configBlob = { mediaType: MEDIA.ociConfig, digest: digestOf(config), size: config.length };
  await repository.send({ ...layer, open: (start, end) => createReadStream(archive, { start, end: end - 1 }) });
  const configFile = join(work, "config");
  writeFileSync(configFile, config);
  await repository.send({ ...configBlob, open: () => createReadStream(configFile) });
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociManifest, config: configBlob, layers: [layer] }),
  );
  const descriptor = { mediaType: MEDIA.ociManifest, digest: digestOf(bytes), size: bytes.length };
  await repository.putManifest({ tag: "1" }, { descriptor, bytes });
  rmSync(archive);
  return digest;
}

function peakMemory(daemon: TestDaemon): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
}

function makeDebian(path: string): void {
  const options = ["--quiet", "--variant=minbase", "--mode=root", "bookworm", join(work, "debian.tar")];
  execFileSync("mmdebstrap", options, { stdio: ["ignore", "ignore", "inherit"] });
  execFileSync("sh", ["-c", 'gzip -c "$1" > "$2"', "sh", join(work, "debian.tar"), path]);
  rmSync(join(work, "debian.tar"));
}

function makeSmall(path: string): void {
  const root = join(work, "small");
  for (let at = 0; at < 50_000; at++) {
    const parent = join(root, `d${Math.floor(at / 100)}`);
    if (at % 100 === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `file-${at}`), `${at} `.repeat(at % 500));
  }
  execFileSync("tar", ["-czf", path, "-C", root, "."]);
  execFileSync("rm", ["-rf", root]);
}

function makeRandom(path: string, megabytes: number): void {
  const file = join(work, "random");
  const fd = openSync(file, "w");
  for (let at = 0; at < megabytes; at++) writeSync(fd, randomBytes(1_000_000));
  closeSync(fd);
  execFileSync("tar", ["-czf", path, "-C", work, "random"]);
  rmSync(file);
}
