/** The guest's kernel: Debian's, taken out of its package into a cache, never installed. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";

export interface GuestKernel {
  readonly image: string;
  /** Module files in the order in which they can be loaded. */
  readonly modules: readonly string[];
}

/** Debian's package of the newest kernel of the release; it only names the one that has the files. */
const PACKAGE = "linux-image-amd64";

/** What the guest needs beyond what is built in, without what these depend on. crc32c is asked for by name only. */
const MODULES: readonly string[] = [
  ...["crc32c_generic", "virtio_pci", "virtio_blk", "ext4", "9p", "9pnet_virtio", "overlay"],
  ...["bridge", "br_netfilter", "veth", "dummy", "tun", "macvlan", "ipvlan", "8021q", "sctp"],
  ...["nf_tables", "nft_ct", "nft_nat", "nft_masq", "nft_chain_nat", "nft_fib_inet", "nft_limit", "nft_log"],
  ...["nft_redir", "nft_reject_inet", "nf_conntrack_netlink"],
  ...["nfsv4", "nfsd", "cifs"],
];

/** The kernel that was prepared before; undefined when there is none. */
export function findKernel(): GuestKernel | undefined {
  const folder = cacheFolder();
  const [image] = globSync("boot/vmlinuz-*", { cwd: folder });
  if (image === undefined) return undefined;
  const modules = globSync("modules/*.ko", { cwd: folder }).toSorted();
  return { image: join(folder, image), modules: modules.map((name) => join(folder, name)) };
}

/** Downloads and unpacks the kernel unless it is there. Needs apt-get and dpkg-deb; throws what they say. */
export function prepareKernel(): GuestKernel {
  const ready = findKernel();
  if (ready !== undefined) return ready;
  const cache = cacheFolder();
  mkdirSync(join(cache, ".."), { recursive: true });
  const work = mkdtempSync(`${cache}-`);
  try {
    const archive = download(work);
    command("sh", ["-c", `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" ./boot ./lib/modules`, "sh", archive, work]);
    rmSync(archive);
    const packed = globSync("lib/modules/**/*.ko.xz", { cwd: work });
    if (packed.length > 0) command("xz", ["-d", ...packed], work);
    keepModules(work);
    rmSync(cache, { recursive: true, force: true });
    renameSync(work, cache);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const kernel = findKernel();
  if (kernel === undefined) throw new Error(`no kernel in ${PACKAGE}`);
  return kernel;
}

/** Of thousands the few that the guest loads, named so that they sort by that. */
function keepModules(folder: string): void {
  const all = join(folder, "lib");
  mkdirSync(join(folder, "modules"));
  for (const [index, file] of inLoadOrder(MODULES, all).entries()) {
    renameSync(file, join(folder, "modules", `${String(index).padStart(3, "0")}-${basename(file)}`));
  }
  rmSync(all, { recursive: true });
}

/** Another one for other modules. */
function cacheFolder(): string {
  const key = createHash("sha256").update(MODULES.join(" ")).digest("hex").slice(0, 8);
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "gantry-guest-kernel", key);
}

function download(folder: string): string {
  if (!existsSync("/var/lib/apt/lists") || kernelPackage() === undefined) command("apt-get", ["update", "-qq"]);
  const name = kernelPackage();
  if (name === undefined) throw new Error(`apt knows no ${PACKAGE}`);
  command("apt-get", ["download", "-qq", name], folder);
  const [archive] = globSync("*.deb", { cwd: folder });
  if (archive === undefined) throw new Error(`apt-get download brought no ${name}`);
  return join(folder, archive);
}

function kernelPackage(): string | undefined {
  const { stdout } = spawnSync("apt-cache", ["depends", PACKAGE], { encoding: "utf8" });
  return /Depends: (linux-image-\S+)/.exec(stdout ?? "")?.[1];
}

function command(file: string, args: readonly string[], cwd?: string): void {
  const { status, stderr, error } = spawnSync(file, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}

/** Each module after those it depends on; names without a file are built into the kernel. */
function inLoadOrder(names: readonly string[], folder: string): string[] {
  const files = new Map(globSync("**/*.ko", { cwd: folder }).map((path) => [moduleName(path), join(folder, path)]));
  const ordered = new Set<string>();
  const visit = (name: string): void => {
    const file = files.get(moduleName(name));
    if (file === undefined || ordered.has(file)) return;
    for (const dependency of dependencies(file)) visit(dependency);
    ordered.add(file);
  };
  for (const name of names) visit(name);
  return [...ordered];
}

function moduleName(path: string): string {
  return basename(path, ".ko").replaceAll("-", "_");
}

/** From the .modinfo section: "depends=a,b" between zero bytes. */
function dependencies(file: string): string[] {
  const [, names = ""] = /\0depends=([^\0]*)\0/.exec(readFileSync(file, "latin1")) ?? [];
  return names.split(",").filter(Boolean);
}
