/** Programs of another architecture, and what runs them here, for tests: Debian's packages, unpacked and not installed. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

const CACHE = join(homedir(), ".cache", "gantry-test", "arm64");
const FOLDER = "/proc/sys/fs/binfmt_misc";

/** ELF, 64 bits, little-endian, EM_AARCH64; the mask leaves out the ABI, and takes programs and shared objects. */
const MAGIC = "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00";
const MASK = `${"\\xff".repeat(7)}\\x00${"\\xff".repeat(8)}\\xfe${"\\xff".repeat(3)}`;

/** A program becomes another one in a mount namespace where the kernel's list of interpreters can be seen: nobody else's programs see it. */
const inside = (script: string): readonly string[] => {
  const mounted = `[ -e ${FOLDER}/status ] || mount -t binfmt_misc none ${FOLDER}`;
  return ["unshare", "-m", "sh", "-ec", `${mounted}; ${script}; exec "$@"`, "sh"];
};

/** Why arm64's programs cannot be tried here, or false. */
export function missingForeign(): string | false {
  if (process.arch !== "x64") return "needs a machine of x86-64";
  if (!/\bbinfmt_misc$/m.test(readFileSync("/proc/filesystems", "utf8"))) return "no binfmt_misc in this kernel";
  const tools = [
    ["mmdebstrap", "--version"] as const,
    ["apt-get", "--version"] as const,
    ["dpkg-deb", "--version"] as const,
  ];
  const absent = tools.find(([name, ...args]) => spawnSync(name, args).status !== 0);
  if (absent !== undefined) return `no ${absent[0]} on this machine`;
  const [program = "", ...args] = inside(`test -e ${FOLDER}/register`);
  return spawnSync(program, [...args, "true"]).status === 0 ? false : "binfmt_misc cannot be mounted here";
}

/** A static busybox of arm64. Fetched once, then kept in the user's cache. */
export function foreignBusybox(): string {
  return kept("busybox", (folder) => {
    const archive = join(folder, "root.tar");
    const args = ["--architectures=arm64", "--variant=extract", "--include=busybox-static", "bookworm", archive];
    execFileSync("mmdebstrap", args, { stdio: "pipe" });
    execFileSync("tar", ["-xf", archive, "-C", folder, "./bin/busybox"]);
    return join(folder, "bin", "busybox");
  });
}

function emulator(): string {
  return kept("qemu-aarch64-static", (folder) => {
    execFileSync("apt-get", ["download", "qemu-user-static"], { cwd: folder, stdio: "pipe" });
    const file = readdirSync(folder).find((name) => name.endsWith(".deb")) ?? "";
    const unpack = `dpkg-deb --fsys-tarfile '${file}' | tar -x ./usr/bin/qemu-aarch64-static`;
    execFileSync("sh", ["-c", unpack], { cwd: folder });
    return join(folder, "usr", "bin", "qemu-aarch64-static");
  });
}

function kept(name: string, make: (folder: string) => string): string {
  const path = join(CACHE, name);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), "gantry-foreign-"));
  try {
    execFileSync("cp", [make(folder), `${path}.${process.pid}`]);
    renameSync(`${path}.${process.pid}`, path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return path;
}

const NAME = `gantry-test-${process.pid}`;

/**
 * What becomes a program (see `TestDaemon.through`) that sees arm64's emulator registered. The kernel forgets it with the last mount of
 * its list, older ones (before 6.7) by `unregisterForeign`.
 */
export function withForeign(): readonly string[] {
  const line = `:${NAME}:M::${MAGIC}:${MASK}:${emulator()}:F`;
  return inside(`[ -e ${FOLDER}/${NAME} ] || printf '%s' '${line}' > ${FOLDER}/register`);
}

/** `pid`: of the program that sees it. */
export function unregisterForeign(pid: number): void {
  spawnSync("nsenter", ["-m", "-t", String(pid), "sh", "-c", `echo -1 > ${FOLDER}/${NAME}`]);
}
