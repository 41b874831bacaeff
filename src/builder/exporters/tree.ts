/** An image's files as one tar. */
import { type BigIntStats, createReadStream, lstatSync, readdirSync, readlinkSync } from "node:fs";
import type { TarInput, TarType } from "../../base/tar/tar.ts";
import { TarWriter } from "../../base/tar/writer.ts";
import { deviceNumbers } from "../../kernel/nodes.ts";
import { getXattr, listXattrs } from "../../kernel/xattrs.ts";
import type { BuiltImage, ExportInput } from "../builder.ts";
import type { Sink } from "./exporters.ts";
import { sending } from "./sending.ts";

export interface TreeOptions {
  readonly input: ExportInput;
  readonly sink: Sink;
  /** A folder for each platform; by default when there are several. */
  readonly split: boolean | undefined;
}

/** Post-condition: the sink has every file of every image, sorted by name; times are clamped to SOURCE_DATE_EPOCH. */
export async function writeTree({ input, sink, split }: TreeOptions): Promise<Record<string, unknown>> {
  const { images } = input.result;
  const apart = split ?? images.length > 1;
  const writer = new TarWriter();
  await sending(
    writer,
    input.signal,
    (stream) => sink(stream, input.signal),
    async () => {
      for (const image of images) {
        const prefix = apart ? `${folderName(image)}/` : "";
        if (apart) await writer.add({ path: prefix, type: "directory" });
        await input.withTree(image, (root) => new Walk(writer, root, prefix, latest(input)).folder(""));
      }
      await writer.finish();
    },
  );
  return {};
}

const folderName = ({ platform: { os, architecture, variant } }: BuiltImage): string =>
  [os, architecture, ...(variant ? [variant] : [])].join("_");

const latest = ({ sourceDateEpoch }: ExportInput): bigint | undefined =>
  sourceDateEpoch === undefined ? undefined : BigInt(sourceDateEpoch) * 1_000_000_000n;

class Walk {
  readonly #writer: TarWriter;
  readonly #root: string;
  readonly #prefix: string;
  readonly #latest: bigint | undefined;
  /** Inode to the first name of it. */
  readonly #links = new Map<string, string>();

  constructor(writer: TarWriter, root: string, prefix: string, latestTime: bigint | undefined) {
    this.#writer = writer;
    this.#root = root;
    this.#prefix = prefix;
    this.#latest = latestTime;
  }

  async folder(path: string): Promise<void> {
    for (const name of readdirSync(`${this.#root}/${path}`).sort()) {
      const below = path === "" ? name : `${path}/${name}`;
      if (await this.#entry(below)) await this.folder(below);
    }
  }

  /** Whether it is a folder. */
  async #entry(path: string): Promise<boolean> {
    const full = `${this.#root}/${path}`;
    const stat = lstatSync(full, { bigint: true });
    const type = typeOf(stat);
    if (type === undefined) return false;
    const name = `${this.#prefix}${path}`;
    const inode = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1n && type !== "directory" ? this.#links.get(inode) : undefined;
    const header = this.#header(name, full, stat, type);
    if (first !== undefined) await this.#writer.add({ ...header, type: "hardlink", linkPath: first, size: 0 });
    else if (type === "file" && header.size !== 0)
      await this.#writer.add(header, createReadStream(full, { highWaterMark: 1 << 18 }));
    else await this.#writer.add(header);
    if (first === undefined && stat.nlink > 1n) this.#links.set(inode, name);
    return type === "directory";
  }

  #header(name: string, full: string, stat: BigIntStats, type: TarType): TarInput {
    const mtime = this.#latest !== undefined && stat.mtimeNs > this.#latest ? this.#latest : stat.mtimeNs;
    return {
      path: type === "directory" ? `${name}/` : name,
      type,
      linkPath: type === "symlink" ? readlinkSync(full) : undefined,
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: type === "file" ? Number(stat.size) : 0,
      mtime,
      ...(type === "char" || type === "block" ? deviceNumbers(stat.rdev) : {}),
      xattrs: attributes(full),
    };
  }
}

function attributes(full: string): Map<string, Buffer> {
  const kept = listXattrs(full).filter((name) => name === "security.capability" || name.startsWith("user."));
  return new Map(kept.map((name) => [name, getXattr(full, name) ?? Buffer.alloc(0)]));
}

/** Sockets belong to processes and are left out. */
function typeOf(stat: BigIntStats): TarType | undefined {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isCharacterDevice()) return "char";
  if (stat.isBlockDevice()) return "block";
  return stat.isFIFO() ? "fifo" : undefined;
}
