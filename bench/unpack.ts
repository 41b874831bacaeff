/**
 * How long layers take to unpack, beside GNU tar on the same file and the same disk. Both digests are included on our side.
 * Usage: node bench/unpack.ts [folder to make the archive of; default /usr/share/doc] [rounds; default 3]
 * Prints medians and ratios; a ratio means something even where the machine is busy, because rounds alternate.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest } from "../src/base/digest.ts";
import { openSnapshots } from "../src/snapshots/open.ts";
import { openStore } from "../src/store/open.ts";
import { makePaths } from "../src/store/paths.ts";

const [folder = "/usr/share/doc", roundsText = "3"] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "gantry-bench-"));
const store = openStore(makePaths(join(work, "data"), join(work, "run")));
const snapshots = await openSnapshots({ store });

try {
  const small = join(work, "small");
  makeSmallFiles(small, 50_000);
  const cases = [
    { name: folder, from: folder, compress: "-z", limit: 1.5 },
    { name: folder, from: folder, compress: "", limit: 1.3 },
    { name: "50,000 small files", from: small, compress: "-z", limit: 1.5 },
    { name: "50,000 small files", from: small, compress: "", limit: 1.3 },
  ];
  console.log("archive                        format   tar -x   gantry   ratio   aim");
  for (const [index, { name, from, compress, limit }] of cases.entries()) {
    const archive = join(work, `archive-${index}`);
    execFileSync("tar", ["-c", ...(compress === "" ? [] : [compress]), "-f", archive, "-C", from, "."]);
    const { tar, gantry } = await measure(archive, compress);
    const columns = [name.padEnd(30), (compress === "" ? "plain" : "gzip").padEnd(6), seconds(tar), seconds(gantry)];
    console.log(`${columns.join("  ")}   ${(gantry / tar).toFixed(2)}    ${limit}`);
    rmSync(archive);
  }
} finally {
  await snapshots.close();
  store.close();
  execFileSync("rm", ["-rf", work]);
}

/** Medians in milliseconds. */
async function measure(archive: string, compress: string): Promise<{ tar: number; gantry: number }> {
  const digest = await digestFile(archive);
  const diffId = compress === "" ? digest : await digestPlain(archive);
  const times = { tar: [] as number[], gantry: [] as number[] };
  for (let round = 0; round < Number(roundsText); round++) {
    const target = join(work, "target");
    mkdirSync(target);
    times.tar.push(
      await timed(() =>
        execFileSync("tar", ["-x", ...(compress === "" ? [] : [compress]), "-f", archive, "-C", target]),
      ),
    );
    execFileSync("rm", ["-rf", target]);
    times.gantry.push(
      await timed(() => snapshots.unpack([{ diffId, digest, parent: undefined, source: { path: archive } }])),
    );
    await snapshots.removeLayer(diffId);
    await snapshots.close();
  }
  return { tar: median(times.tar), gantry: median(times.gantry) };
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function digestFile(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return `sha256:${hash.digest("hex")}`;
}

async function digestPlain(path: string): Promise<Digest> {
  const out = execFileSync("sh", ["-c", 'gzip -dc "$1" | sha256sum', "sh", path], { encoding: "utf8" });
  return `sha256:${out.slice(0, 64)}`;
}

function makeSmallFiles(root: string, count: number): void {
  for (let i = 0; i < count; i++) {
    const parent = join(root, `d${Math.floor(i / 100)}`);
    if (i % 100 === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `file-${i}`), `${i} `.repeat(i % 500));
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`.padStart(7);
}
