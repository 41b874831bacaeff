/** Whether programs of another architecture run here: natively, or by an interpreter that binfmt_misc knows. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = "/proc/sys/fs/binfmt_misc";

/** Architectures that processors of another one run by themselves. Docker's names. */
const NATIVE: Readonly<Record<string, readonly string[]>> = {
  amd64: ["386"],
  arm64: ["arm"],
};

/** ELF's e_machine and class, which begin an interpreter's magic; by Docker's names. */
const MACHINES: Readonly<Record<string, readonly [machine: number, bits: 1 | 2]>> = {
  "386": [3, 1],
  amd64: [62, 2],
  arm: [40, 1],
  arm64: [183, 2],
  loong64: [258, 2],
  mips64le: [8, 2],
  ppc64le: [21, 2],
  riscv64: [243, 2],
  s390x: [22, 2],
};

/** `host`: the machine's own architecture, in Docker's names. */
export function canRunArchitecture(architecture: string, host: string): boolean {
  if (architecture === host || (NATIVE[host]?.includes(architecture) ?? false)) return true;
  const wanted = MACHINES[architecture];
  return wanted !== undefined && interpreters().some((magic) => isMagicOf(magic, wanted));
}

function interpreters(): Buffer[] {
  if (!existsSync(join(FOLDER, "status"))) return [];
  if (read("status").trim() !== "enabled") return [];
  return readdirSync(FOLDER).flatMap((name) => {
    if (name === "register" || name === "status") return [];
    const entry = read(name);
    const magic = /^magic ([0-9a-f]+)$/m.exec(entry)?.[1];
    // Without F the interpreter would have to be in the container.
    const usable = entry.startsWith("enabled") && /^flags: .*F/m.test(entry);
    return usable && magic !== undefined ? [Buffer.from(magic, "hex")] : [];
  });
}

function isMagicOf(magic: Buffer, [machine, bits]: readonly [number, 1 | 2]): boolean {
  if (magic.length < 20 || magic.toString("latin1", 1, 4) !== "ELF" || magic[4] !== bits) return false;
  return (magic[5] === 2 ? magic.readUInt16BE(18) : magic.readUInt16LE(18)) === machine;
}

function read(name: string): string {
  try {
    return readFileSync(join(FOLDER, name), "utf8");
  } catch {
    return "";
  }
}
