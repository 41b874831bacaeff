/**
 * Runs a command of the project on another kernel: a small virtual machine with Debian's kernel, AppArmor, control groups of version 2
 * alone, and the host's files below a scratch disk. Nothing it writes comes back; only its output and its exit code do.
 *
 *   node scripts/guest.ts [--time SECONDS] [--] command…
 */
import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { makeInitramfs } from "./guest/initramfs.ts";
import { findKernel, type GuestKernel, prepareKernel } from "./guest/kernel.ts";

const root = join(import.meta.dirname, "..");

export interface GuestOptions {
  /** What is run, in the project's folder, found in the PATH with the project's programs first. */
  readonly command: readonly string[];
  /** Until the machine is switched off; default 900. */
  readonly seconds?: number;
  /** Added to the few variables that the guest has. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gets the output as it comes. Default: it is collected only. */
  readonly onOutput?: (chunk: Buffer) => void;
}

export interface GuestResult {
  /** Undefined when the guest ended, or was ended, before its command did. */
  readonly exitCode: number | undefined;
  readonly output: string;
  /** What the kernel said: the reason of an early end. */
  readonly console: string;
}

/** Why no guest can run here; undefined when one can. With `download`, a missing kernel is fetched instead of being named. */
export function guestProblem({ download = false } = {}): string | undefined {
  if (process.arch !== "x64") return `no guest for ${process.arch}`;
  const missing = [
    ...(onPath(QEMU) ? [] : ["qemu-system-x86"]),
    ...(onPath("mkfs.ext4") ? [] : ["e2fsprogs"]),
    ...(busybox() === undefined ? ["busybox-static"] : []),
  ];
  if (missing.length > 0) return `needs ${missing.join(", ")}`;
  if (findKernel() !== undefined) return undefined;
  if (!download) return "needs the guest's kernel (node scripts/guest.ts -- true)";
  try {
    prepareKernel();
  } catch (error) {
    return `the guest's kernel could not be had: ${(error as Error).message}`;
  }
  return undefined;
}

/** Never rejects for what happens inside the guest; ends within `seconds` and a little. */
export async function runGuest(options: GuestOptions): Promise<GuestResult> {
  const folder = mkdtempSync(join(tmpdir(), "guest-"));
  try {
    return await boot(options, prepareKernel(), folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const QEMU = "qemu-system-x86_64";
const SCRATCH_BYTES = 8 * 2 ** 30;

async function boot(
  { command, seconds = 900, env = {}, onOutput }: GuestOptions,
  kernel: GuestKernel,
  folder: string,
): Promise<GuestResult> {
  const at = (name: string) => join(folder, name);
  writeFileSync(at("initramfs"), makeInitramfs(busybox() ?? "", kernel.modules, commandScript(command, env)));
  makeScratchDisk(at("scratch"));
  const output: Buffer[] = [];
  // It ends with this process, however that ends.
  const words = ["--pdeathsig", "KILL", QEMU, ...qemuArguments(kernel, at)];
  const machine = spawn("setpriv", words, { stdio: ["ignore", "pipe", "inherit"] });
  machine.stdout.on("data", (chunk: Buffer) => {
    output.push(chunk);
    onOutput?.(chunk);
  });
  const timer = setTimeout(() => machine.kill("SIGKILL"), seconds * 1000);
  await new Promise((resolve, reject) => machine.once("close", resolve).once("error", reject));
  clearTimeout(timer);
  const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), "utf8") : "");
  const [, code] = /^exit (\d+)/.exec(read("exit")) ?? [];
  return {
    exitCode: code === undefined ? undefined : Number(code),
    output: Buffer.concat(output).toString(),
    console: read("console"),
  };
}

/** Sparse: takes what the guest writes. */
function makeScratchDisk(path: string): void {
  const fd = openSync(path, "w");
  ftruncateSync(fd, SCRATCH_BYTES);
  closeSync(fd);
  const { status, stderr } = spawnSync("mkfs.ext4", ["-q", "-F", "-O", "^has_journal", path], {
    encoding: "utf8",
    env: withPath(),
  });
  if (status !== 0) throw new Error(`mkfs.ext4: ${stderr}`);
}

function qemuArguments(kernel: GuestKernel, at: (name: string) => string): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "2560", "-smp", "2"],
    ...accelerator(),
    ...["-kernel", kernel.image, "-initrd", at("initramfs"), "-append", KERNEL_WORDS.join(" ")],
    ...["-serial", `file:${at("console")}`, "-serial", "stdio", "-serial", `file:${at("exit")}`],
    ...["-drive", `file=${at("scratch")},format=raw,if=virtio,cache=unsafe,discard=unmap`],
    ...["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"],
    ...["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"],
  ];
}

/**
 * The processor's own virtualisation, where the machine has it. A /dev/kvm without it (KVM below another hypervisor, by page
 * tables) wants a guest kernel made for it: it interprets Debian's, more slowly than QEMU's translation does.
 */
function accelerator(): string[] {
  const hardware = /^flags\s.*\b(vmx|svm)\b/m.test(readFileSync("/proc/cpuinfo", "utf8")) && existsSync("/dev/kvm");
  return hardware
    ? ["-accel", "kvm", "-cpu", "host"]
    : ["-accel", "tcg,thread=multi", "-cpu", `max,${UNTRUSTED.map((name) => `${name}=off`).join()}`];
}

/** What QEMU 7.2 translates slowly, or new and wrongly now and then: Node crashed. */
const UNTRUSTED = ["la57", "pku", "avx", "avx2", "f16c", "fma"];

const KERNEL_WORDS = [
  ...["console=ttyS0", "loglevel=4", "panic=-1", "8250.nr_uarts=4"],
  ...["mitigations=off", "nokaslr", "tsc=reliable", "cryptomgr.notests", "random.trust_cpu=on"],
];

function commandScript(command: readonly string[], env: Readonly<Record<string, string>>): string {
  const variables = { PATH: withPath().PATH, HOME: "/root", LANG: "C.UTF-8", ...env };
  const exports = Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}`);
  return [...exports, `cd ${quoted(root)}`, `exec ${command.map(quoted).join(" ")}`, ""].join("\n");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function withPath(): { PATH: string } {
  const own = join(root, "node_modules", ".bin");
  return { PATH: [own, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].join(delimiter) };
}

function onPath(name: string): boolean {
  return withPath()
    .PATH.split(delimiter)
    .some((folder) => existsSync(join(folder, name)));
}

function busybox(): string | undefined {
  return ["/usr/bin/busybox", "/bin/busybox"].find((path) => existsSync(path));
}

async function main(): Promise<number> {
  const { values, positionals: command } = parseArgs({
    allowPositionals: true,
    options: { time: { type: "string", default: "900" } },
  });
  if (command.length === 0) throw new Error("usage: node scripts/guest.ts [--time SECONDS] [--] command…");
  const problem = guestProblem({ download: true });
  if (problem !== undefined) throw new Error(problem);
  const result = await runGuest({
    command,
    seconds: Number(values.time),
    onOutput: (chunk) => process.stdout.write(chunk),
  });
  if (result.exitCode === undefined) console.error(`the guest ended early:\n${result.console}`);
  return result.exitCode ?? 125;
}

if (import.meta.main) process.exitCode = await main();
