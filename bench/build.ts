/** Builds against buildah's in one run, the CLI's start included: nothing changed, everything new, stages side by side, many files. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { type Figure, median, printFigures, timeEach } from "./lib/table.ts";

const GANTRY = join(import.meta.dirname, "..", "bin", "gantry");
const ROUNDS = 7;

/** Ten steps, of which those that run do next to nothing. */
const TEN = `FROM busybox
ENV A=1
WORKDIR /srv
COPY . .
RUN true
RUN echo two > /two
LABEL a=b
RUN echo three > /three
EXPOSE 80
CMD ["true"]
`;

const EIGHT = `${Array.from({ length: 8 }, (_, i) => `FROM busybox AS s${i}\nRUN sleep 2 && echo ${i} > /s\n`).join("")}FROM busybox
${Array.from({ length: 8 }, (_, i) => `COPY --from=s${i} /s /s${i}\n`).join("")}`;

function context(dockerfile: string, files: number, repeat = 20): string {
  const folder = mkdtempSync(join(tmpdir(), "gantry-bench-"));
  for (let i = 0; i < files; i++) {
    const place = join(folder, "files", String(i % 100));
    if (i < 100) mkdirSync(place, { recursive: true });
    writeFileSync(join(place, String(i)), `content of file ${i}\n`.repeat(repeat));
  }
  writeFileSync(join(folder, "Dockerfile"), dockerfile);
  return folder;
}

type Build = (...args: string[]) => void;

function gantryOf(daemon: TestDaemon): Build {
  const env = { PATH: process.env.PATH ?? "", HOME: daemon.folder, DOCKER_HOST: daemon.host };
  return (...args) => run(GANTRY, ["build", "-q", ...args], env);
}

/** Undefined where the machine has no buildah. */
function buildahOf(daemon: TestDaemon): Build | undefined {
  if (spawnSync("buildah", ["--version"]).status !== 0) return undefined;
  const place = join(daemon.folder, "buildah");
  const roots = ["--root", join(place, "root"), "--runroot", join(place, "run"), "--storage-driver", "overlay"];
  const policy = join(daemon.folder, "policy.json");
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
  run("buildah", [...roots, "pull", "--signature-policy", policy, `docker-archive:${daemon.archive}`]);
  const own = ["bud", "--layers", "-q", "--isolation", "chroot", "--pull-never", "--signature-policy", policy];
  return (...args) => run("buildah", [...roots, ...own, ...args]);
}

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
  const { status, stderr } = spawnSync(file, args, { env, stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${stderr}`);
}

/** Medians of both, measured in turns. */
async function inTurns(gantry: () => void, peer: (() => void) | undefined): Promise<[number, number | undefined]> {
  const taken: [number[], number[]] = [[], []];
  for (let i = -1; i < ROUNDS; i++)
    for (const [index, build] of [gantry, peer].entries()) {
      if (build === undefined) continue;
      const [ms = 0] = await timeEach(1, build, 0);
      if (i >= 0) taken[index as 0 | 1].push(ms);
    }
  return [median(taken[0]), peer === undefined ? undefined : median(taken[1])];
}

function against(what: string, [value, peer]: [number, number | undefined], most: number): Figure {
  if (peer === undefined) return { what: `${what} (no buildah here)`, value, unit: "ms" };
  return { what, value, unit: "ms", floor: { what: "buildah", value: peer }, most };
}

/** Milliseconds that a step took whose name has the word, as the build's own progress has it. */
function stepTime(daemon: TestDaemon, folder: string, word: string): number {
  const env = { PATH: process.env.PATH ?? "", HOME: daemon.folder, DOCKER_HOST: daemon.host };
  const args = ["build", "--no-cache", "--progress", "rawjson", folder];
  const { stderr, status } = spawnSync(GANTRY, args, { env, encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(stderr);
  const done = stderr
    .split("\n")
    .filter((line) => line.includes(word) && line.includes('"completed"'))
    .map((line) => (JSON.parse(line) as { vertexes: [{ started: string; completed: string }] }).vertexes[0])[0];
  if (done === undefined) throw new Error(`the build told of no ${word}`);
  return Date.parse(done.completed) - Date.parse(done.started);
}

async function main(): Promise<void> {
  await using daemon = await startDaemon();
  const [gantry, buildah] = [gantryOf(daemon), buildahOf(daemon)];
  const folders = {
    ten: context(TEN, 1000),
    eight: context(EIGHT, 0),
    many: context("FROM scratch\nCOPY files /files\n", 20_000),
    some: context("FROM scratch\nCOPY Dockerfile /\n", 1000, 2500),
    fourfold: context("FROM scratch\nCOPY Dockerfile /\n", 4000, 2500),
  };
  try {
    const { ten, eight, many, some, fourfold } = folders;
    const cached = await inTurns(() => gantry(ten), buildah && (() => buildah(ten)));
    const cold = await inTurns(() => gantry("--no-cache", ten), buildah && (() => buildah("--no-cache", ten)));
    const [stages = 0] = await timeEach(1, () => gantry("--no-cache", eight), 0);
    const copied: [number, number][] = [];
    // Nothing is removed between them, and all of before is on the disk: ext4 makes files slowly where others went a short time ago.
    for (let i = 0; i < 3; i++) {
      const target = join(daemon.folder, `copy-${i}`);
      execFileSync("sync");
      const copy = stepTime(daemon, many, "COPY");
      execFileSync("sync");
      const [cp = 0] = await timeEach(1, () => execFileSync("cp", ["-a", join(many, "files"), target]), 0);
      copied.push([copy, cp]);
    }
    execFileSync("sync");
    const sent = [some, fourfold].map((folder) => stepTime(daemon, folder, "receive build context"));
    printFigures([
      against("10 steps, nothing changed", cached, 0.1),
      against("10 steps, --no-cache, 1,000 files", cold, 0.25),
      { what: "8 stages of sleep 2", value: stages / 1000, unit: "s", most: 5 },
      {
        what: "COPY of 20,000 files",
        value: median(copied.map(([copy]) => copy)),
        unit: "ms",
        floor: { what: "cp -a", value: median(copied.map(([, cp]) => cp)) },
        most: 2,
      },
      {
        what: "First send of 4,000 files, 200 MB",
        value: sent[1] ?? 0,
        unit: "ms",
        floor: { what: "1,000 files, 50 MB", value: sent[0] ?? 0 },
        most: 6,
      },
    ]);
  } finally {
    for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true });
  }
}

await main();
