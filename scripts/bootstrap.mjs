#!/usr/bin/env node
// Sets the clone up and runs one of the project's scripts: `node scripts/bootstrap.mjs start|test|bench|package|setup [arguments]`.
// Plain JavaScript for any Node from 20 on: it runs before the project's own Node and packages are there. Each step is
// skipped when its result is there already.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const since = Date.now();
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);

/** What the system must have: a way to see that it is there, and Debian's package for it. */
const SYSTEM = [
  { what: "an OCI runtime", found: () => program("crun") || program("runc"), package: "crun" },
  { what: "nft", found: () => program("nft"), package: "nftables" },
  { what: "ip", found: () => program("ip"), package: "iproute2" },
  { what: "ps", found: () => program("ps"), package: "procps" },
  { what: "a static busybox", found: staticBusybox, package: "busybox-static" },
  { what: "a C compiler", found: () => program("cc"), package: "gcc" },
  { what: "libc's headers", found: () => existsSync("/usr/include/stdio.h"), package: "libc6-dev" },
  { what: "make", found: () => program("make"), package: "make" },
];
/** What only the tests use. */
const TESTING = [
  { what: "runc", found: () => program("runc"), package: "runc" },
  { what: "valgrind", found: () => program("valgrind"), package: "valgrind" },
  { what: "docker-registry", found: () => program("docker-registry"), package: "docker-registry" },
  { what: "skopeo", found: () => program("skopeo"), package: "skopeo" },
  { what: "a browser", found: () => program("chromium"), package: "chromium" },
  { what: "podman", found: () => program("podman"), package: "podman" },
  { what: "buildah", found: () => program("buildah"), package: "buildah" },
  { what: "bsdtar", found: () => program("bsdtar"), package: "libarchive-tools" },
  { what: "umoci", found: () => program("umoci"), package: "umoci" },
  { what: "qemu", found: () => process.arch !== "x64" || program("qemu-system-x86_64"), package: "qemu-system-x86" },
  { what: "apparmor_parser", found: () => program("apparmor_parser"), package: "apparmor" },
  { what: "mkfs.ext4", found: () => program("mkfs.ext4"), package: "e2fsprogs" },
  { what: "mkfs.btrfs", found: () => program("mkfs.btrfs"), package: "btrfs-progs" },
  { what: "ssh-keygen", found: () => program("ssh-keygen"), package: "openssh-client" },
  { what: "sshd", found: () => existsSync("/usr/sbin/sshd"), package: "openssh-server" },
  { what: "git", found: () => program("git"), package: "git" },
  { what: "xz", found: () => program("xz"), package: "xz-utils" },
  { what: "bzip2", found: () => program("bzip2"), package: "bzip2" },
  { what: "mmdebstrap", found: () => program("mmdebstrap"), package: "mmdebstrap" },
  { what: "python3", found: () => program("python3"), package: "python3-minimal" },
  { what: "python3-docker", found: () => existsSync("/usr/lib/python3/dist-packages/docker"), package: "python3-docker" },
];

function main() {
  const [command = "setup", ...rest] = process.argv.slice(2);
  const scripts = { start: "start.ts", test: "test.ts", bench: "bench.ts", package: "package.ts", setup: undefined };
  if (!(command in scripts)) fail(`unknown script ${JSON.stringify(command)}; one of: ${Object.keys(scripts).join(", ")}`);
  if (process.platform !== "linux") fail("Gantry runs on Linux only");
  installSystemPackages(command === "test" ? [...SYSTEM, ...TESTING] : SYSTEM);
  installPackages();
  if (command === "test" && !program("docker")) dockerCli();
  if (command === "test") dockerPlugins();
  step("make", ["--silent", "-C", at("native")], "the native part could not be built");
  const node = at("node_modules", ".bin", "node");
  step(node, [at("scripts", "bundle.ts")], "the programs could not be bundled");
  const script = scripts[command];
  if (script === undefined) return;
  const env = { ...process.env, GANTRY_SET_UP_SINCE: String(since) };
  const { status, signal } = spawnSync(node, [at("scripts", script), ...rest], { stdio: "inherit", cwd: root, env });
  process.exitCode = signal === null ? status : 1;
}

function installSystemPackages(needs) {
  const missing = needs.filter(({ found }) => !found());
  if (missing.length === 0) return;
  const packages = missing.map((need) => need.package);
  const names = missing.map((need) => need.what).join(", ");
  const byHand = `apt-get install ${packages.join(" ")}`;
  if (process.getuid() !== 0 || !program("apt-get")) fail(`missing: ${names}\nInstall them, on Debian or Ubuntu: sudo ${byHand}`);
  say(`installing ${packages.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = () =>
    spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], { stdio: ["ignore", "ignore", "pipe"], env });
  if (install().status === 0) return;
  spawnSync("apt-get", ["update", "-qq"], { stdio: "ignore", env });
  const second = install();
  if (second.status !== 0) fail(`apt could not install ${packages.join(", ")}:\n${second.stderr}\nTry: ${byHand}`);
}

function installPackages() {
  const marker = at("node_modules", ".gantry-lock");
  const wanted = createHash("sha256").update(readFileSync(at("package-lock.json"))).digest("hex");
  const have = existsSync(marker) ? readFileSync(marker, "utf8") : "";
  if (have === wanted && existsSync(at("node_modules", ".bin", "node"))) return;
  say("installing the packages of package-lock.json, the project's own Node among them");
  step("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], "npm ci failed");
  writeFileSync(marker, wanted);
}

/** The tests try the real docker CLI; without one they skip what needs it, except on CI. */
function dockerCli() {
  const { status } = spawnSync(at("scripts", "get-docker-cli"), { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) say("the docker CLI could not be had; tests that need it will be skipped");
}

/** Buildx and Compose, where no folder of the docker CLI has them. */
function dockerPlugins() {
  const folders = ["/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker"].map((path) => join(path, "cli-plugins"));
  const missing = ["docker-buildx", "docker-compose"].some((name) => !folders.some((path) => existsSync(join(path, name))));
  if (!missing) return;
  const { status } = spawnSync(at("scripts", "get-docker-cli"), ["plugins"], { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) say("Buildx and Compose could not be had; tests that need them will be skipped");
}

function step(file, args, failure) {
  const { status, error } = spawnSync(file, args, { stdio: ["ignore", "inherit", "inherit"], cwd: root });
  if (status !== 0) fail(`${failure}: ${error?.message ?? `${file} ${args.join(" ")} ended with ${status}`}`);
}

function program(name) {
  const folders = `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`.split(":");
  return folders.some((folder) => folder !== "" && existsSync(join(folder, name)) && statSync(join(folder, name)).isFile());
}

/** The one a base image can be made from: no dynamic loader in it. */
function staticBusybox() {
  const path = ["/usr/bin/busybox", "/bin/busybox"].find((candidate) => existsSync(candidate));
  return path !== undefined && !readFileSync(path).subarray(0, 4096).includes("ld-linux");
}

function say(text) {
  process.stderr.write(`gantry: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

main();
