/** The guest's first file system: the static busybox, kernel modules and a script, as a cpio archive ("newc"). */
import { readFileSync } from "node:fs";

export interface CpioEntry {
  readonly path: string;
  /** With S_IFMT. */
  readonly mode: number;
  readonly data?: Buffer;
  readonly device?: readonly [major: number, minor: number];
}

const FOLDER = 0o040755;
const PROGRAM = 0o100755;
const CHARACTER_DEVICE = 0o020600;

/** `commandScript` is run by /bin/sh inside the guest's root once everything is mounted. */
export function makeInitramfs(busybox: string, modules: readonly string[], commandScript: string): Buffer {
  const order = modules.map((_, index) => `${index}.ko`);
  return cpio([
    ...["bin", "dev", "modules", "host", "scratch", "root", "proc"].map((path) => ({ path, mode: FOLDER })),
    { path: "dev/console", mode: CHARACTER_DEVICE, device: [5, 1] },
    { path: "bin/busybox", mode: PROGRAM, data: readFileSync(busybox) },
    { path: "init", mode: PROGRAM, data: readFileSync(new URL("init.sh", import.meta.url)) },
    { path: "finish.sh", mode: PROGRAM, data: readFileSync(new URL("finish.sh", import.meta.url)) },
    { path: "command.sh", mode: PROGRAM, data: Buffer.from(commandScript) },
    { path: "modules/order", mode: 0o100644, data: Buffer.from(`${order.join("\n")}\n`) },
    ...modules.map((file, index) => ({ path: `modules/${index}.ko`, mode: 0o100644, data: readFileSync(file) })),
  ]);
}

/** Kernel documentation, driver-api/early-userspace/buffer-format: 13 numbers of 8 hexadecimal digits, name, data, each padded to 4. */
function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts = [...entries, { path: "TRAILER!!!", mode: 0 }].flatMap((entry: CpioEntry, index) => {
    const { path, mode, data = Buffer.alloc(0), device: [major, minor] = [0, 0] } = entry;
    const numbers = [index + 1, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, path.length + 1, 0];
    const header = `070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}${path}\0`;
    return [padded(Buffer.from(header, "latin1")), padded(data)];
  });
  return Buffer.concat(parts);
}

function padded(data: Buffer): Buffer {
  return data.length % 4 === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - (data.length % 4))]);
}
