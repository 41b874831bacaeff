/** An image's files into a folder of the client: the listing goes, the client asks for files, and gets their bytes. */
import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  type ReadStream,
  readdirSync,
  readlinkSync,
} from "node:fs";
import { posix } from "node:path";
import { setImmediate } from "node:timers/promises";
import { EngineError } from "../../base/errors.ts";
import type { BuiltImage, ExportInput } from "../../builder/builder.ts";
import { fdPath, O_PATH, openIn } from "../../kernel/rooted.ts";
import type { ClientCall } from "../grpc/client.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import type { PartOf } from "../protobuf/message.ts";
import { DATA, FAILURE, FIN, Packet, REQUEST, STAT } from "../wire/session.ts";
import { goMode } from "./go-mode.ts";
import type { Session } from "./session.ts";

export interface FolderSend {
  readonly input: ExportInput;
  /** A folder for each platform; by default when there are several. */
  readonly split: boolean | undefined;
  readonly exporter: string;
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Post-condition: the client has written every file. Devices, pipes and sockets are left out. */
export async function sendFolder(session: Session, { input, split, exporter }: FolderSend): Promise<void> {
  const { images } = input.result;
  const apart = split ?? images.length > 1;
  // The client wants names in their order.
  const sorted = images.toSorted((a, b) => (folderName(a) < folderName(b) ? -1 : 1));
  using call = session.sending(exporter, input.signal);
  await withTrees(input, sorted, async (roots) => {
    const sender = new FolderSender(call, input);
    const answering = sender.answer();
    answering.catch(() => {});
    for (const [at, root] of roots.entries())
      await sender.list(root, apart ? folderName(sorted[at] as BuiltImage) : "");
    await sender.listed();
    await answering;
  });
}

const folderName = ({ platform: { os, architecture, variant } }: BuiltImage): string =>
  [os, architecture, ...(variant ? [variant] : [])].join("_");

/** Every image's tree at once: files are asked for in any order. */
async function withTrees(
  input: ExportInput,
  images: readonly BuiltImage[],
  use: (roots: readonly number[]) => Promise<void>,
  open: readonly number[] = [],
): Promise<void> {
  const [next, ...others] = images;
  if (next === undefined) return await use(open);
  await input.withTree(next, async (root) => {
    const fd = openSync(root, O_RDONLY | O_DIRECTORY);
    try {
      await withTrees(input, others, use, [...open, fd]);
    } finally {
      closeSync(fd);
    }
  });
}

/** Bytes of one packet. */
const PIECE = 32 << 10;
/** Entries before other work gets its turn. */
const BATCH = 100;

class FolderSender {
  readonly #call: ClientCall;
  readonly #latest: bigint | undefined;
  /** By their numbers; only files. */
  readonly #files = new Map<number, { readonly root: number; readonly path: string }>();
  /** Inode to the name of its first entry. */
  readonly #links = new Map<string, string>();
  #count = 0;

  constructor(call: ClientCall, { sourceDateEpoch }: ExportInput) {
    this.#call = call;
    this.#latest = sourceDateEpoch === undefined ? undefined : BigInt(sourceDateEpoch) * 1_000_000_000n;
  }

  async list(root: number, prefix: string): Promise<void> {
    if (prefix !== "") await this.#entry({ path: prefix, mode: goMode("directory", 0o755) });
    await this.#folder(root, "", prefix);
  }

  listed(): Promise<void> {
    return this.#send({ type: STAT });
  }

  /** Until the client has all that it wants. */
  async answer(): Promise<void> {
    for await (const message of this.#call.messages()) {
      const { type, id, data } = decode(Packet, message);
      if (type === REQUEST) await this.#file(id);
      else if (type === FAILURE)
        throw new EngineError("invalid", `the client could not write the files: ${Buffer.from(data).toString()}`);
      else if (type === FIN) {
        await this.#send({ type: FIN });
        this.#call.end();
      }
    }
  }

  async #folder(root: number, path: string, prefix: string): Promise<void> {
    const fd = openIn(root, path === "" ? "." : path, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW });
    let names: string[];
    try {
      names = readdirSync(fdPath(fd)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    } finally {
      closeSync(fd);
    }
    for (const name of names) await this.#node(root, path === "" ? name : `${path}/${name}`, prefix);
  }

  async #node(root: number, path: string, prefix: string): Promise<void> {
    const fd = openIn(root, path, { flags: O_PATH | O_NOFOLLOW });
    const shown = prefix === "" ? path : `${prefix}/${path}`;
    try {
      const stat = fstatSync(fd, { bigint: true });
      const unix = Number(stat.mode & 0o7777n);
      const modTime = this.#latest !== undefined && stat.mtimeNs > this.#latest ? this.#latest : stat.mtimeNs;
      const common = { path: shown, uid: Number(stat.uid), gid: Number(stat.gid), modTime };
      if (stat.isDirectory()) {
        await this.#entry({ ...common, mode: goMode("directory", unix) });
        await this.#folder(root, path, prefix);
      } else if (stat.isSymbolicLink())
        await this.#entry({ ...common, mode: goMode("symlink", 0o777), linkname: targetOf(root, path) });
      else if (stat.isFile()) {
        const inode = `${root} ${stat.ino}`;
        const first = stat.nlink > 1n ? this.#links.get(inode) : undefined;
        this.#links.set(inode, first ?? shown);
        this.#files.set(this.#count, { root, path });
        const linkname = first === undefined ? {} : { linkname: first };
        await this.#entry({ ...common, ...linkname, mode: goMode("file", unix), size: Number(stat.size) });
      }
    } finally {
      closeSync(fd);
    }
  }

  async #entry(stat: PartOf<typeof Packet>["stat"]): Promise<void> {
    if (++this.#count % BATCH === 0) await setImmediate();
    await this.#send({ type: STAT, stat });
  }

  async #file(id: number): Promise<void> {
    const file = this.#files.get(id);
    if (file === undefined) throw new EngineError("invalid", `the client asks for file ${id}, which is none`);
    const fd = openIn(file.root, file.path, { flags: O_RDONLY | O_NOFOLLOW });
    const stream: ReadStream = createReadStream("", { fd, highWaterMark: PIECE });
    for await (const chunk of stream as AsyncIterable<Buffer>) await this.#send({ type: DATA, id, data: chunk });
    await this.#send({ type: DATA, id });
  }

  #send(packet: PartOf<typeof Packet>): Promise<void> {
    return this.#call.send(encode(Packet, packet));
  }
}

/** Of a symbolic link: its descriptor would name the link. */
function targetOf(root: number, path: string): string {
  const folder = openIn(root, posix.dirname(path), { flags: O_PATH | O_DIRECTORY });
  try {
    return readlinkSync(`${fdPath(folder)}/${posix.basename(path)}`);
  } finally {
    closeSync(folder);
  }
}
