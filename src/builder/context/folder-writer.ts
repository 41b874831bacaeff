/** Puts files into a folder that nobody else writes to, so that no path leaves it: a name is only ever made inside a folder made here. */
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { setImmediate } from "node:timers/promises";
import { explainDiskFull } from "../../base/disk-full.ts";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { NewFiles } from "../../kernel/new-files.ts";
import { createFile, setTimes } from "../../kernel/nodes.ts";
import { setXattr } from "../../kernel/xattrs.ts";

export type NodeType = "file" | "directory" | "symlink";

export interface NodeMeta {
  /** 0o0000 to 0o7777. */
  readonly mode: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly xattrs?: ReadonlyMap<string, Buffer> | undefined;
}

/** A file whose bytes come in pieces. */
export interface OpenFile {
  /** At `position` bytes from its start; what is left out is a hole. */
  write(chunk: Uint8Array, position: number): void;
  /** Gives it its size and attributes. */
  close(size: number): void;
  /** Removes it. */
  abort(): void;
}

/** Entries of one context. */
export const MAX_ENTRIES = 1_000_000;

/** Longest path; the kernel's own bound with the root's name counts too. Bytes are at least as many as characters. */
const MAX_PATH = 4000;

/** Folders finished before other work gets its turn. */
const BATCH = 200;

const IMPLIED: NodeMeta = { mode: 0o755, mtime: 0n };

/**
 * Everything is root's. Paths are relative and clean ("a/b"). An entry that is there already is replaced; only a folder never gives way to
 * something else ("invalid"). All calls are synchronous and short; `finish` gives folders their modes and times.
 */
export class FolderWriter {
  readonly #root: string;
  readonly #nodes: Map<string, NodeType>;
  readonly #folders = new Map<string, NodeMeta>();
  readonly #later = new NewFiles();
  /** The folder that was asked for last: real, with all above it. */
  #checked = "";

  /** `nodes`: what the folder holds, when it is not empty. */
  constructor(root: string, nodes: ReadonlyMap<string, NodeType> = new Map()) {
    this.#root = root;
    this.#nodes = new Map(nodes);
  }

  directory(path: string, meta: NodeMeta): void {
    if (path !== "") this.#make(path, "directory", () => mkdirSync(this.#full(path), 0o755));
    this.#folders.set(path, meta);
  }

  file(path: string, meta: NodeMeta, data: Buffer): void {
    const { mode, mtime } = meta;
    const full = this.#full(path);
    this.#make(path, "file", () =>
      createFile({ path: full, data, mode: 0o600, chmod: mode, owner: undefined, atimeNs: mtime, mtimeNs: mtime }),
    );
    this.#attributes(path, meta);
  }

  /**
   * The same for a file that nothing else is asked of before `settled`, without extended attributes: made by the thread pool. The caller awaits
   * `room` from time to time. The data is copied.
   */
  fileLater(path: string, { mode, mtime }: NodeMeta, data: Buffer): void {
    const full = this.#full(path);
    const times = { atimeNs: mtime, mtimeNs: mtime };
    this.#make(path, "file", () =>
      this.#later.add({ path: full, data, mode: 0o600, chmod: mode, owner: undefined, ...times }),
    );
  }

  /** Undefined: go on. */
  get room(): Promise<void> | undefined {
    return this.#later.room?.catch((error) => this.#explain(error));
  }

  /** Every file is made, or an error thrown; either way nothing is being made any more. */
  settled(): Promise<void> {
    return this.#later.settled().catch((error) => this.#explain(error));
  }

  open(path: string, meta: NodeMeta): OpenFile {
    const full = this.#full(path);
    const fd = this.#make(path, "file", () => openSync(full, "wx", 0o600));
    const guarded = <T>(work: () => T) => this.#guard(path, work);
    return {
      write: (chunk, position) =>
        guarded(() => {
          for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at, chunk.length - at, position + at);
        }),
      close: (size) => {
        guarded(() => ftruncateSync(fd, size));
        closeSync(fd);
        chmodSync(full, meta.mode);
        this.#attributes(path, meta);
        setTimes(full, meta.mtime, meta.mtime);
      },
      abort: () => {
        closeSync(fd);
        this.remove(path);
      },
    };
  }

  symlink(path: string, target: string, { mtime }: NodeMeta): void {
    if (target === "") throw new EngineError("invalid", `the build context has an empty link: ${JSON.stringify(path)}`);
    this.#make(path, "symlink", () => symlinkSync(target, this.#full(path)));
    setTimes(this.#full(path), mtime, mtime);
  }

  /** A further name of a file or link that is there. */
  hardlink(path: string, target: string): void {
    const type = this.#nodes.get(target);
    if (type === undefined || type === "directory" || target === path)
      throw new EngineError(
        "invalid",
        `the build context has a hard link ${JSON.stringify(path)} to ${JSON.stringify(target)}, which is no file before it`,
      );
    this.#make(path, type, () => linkSync(this.#full(target), this.#full(path)));
  }

  /** With everything below it; nothing when it is not there. */
  remove(path: string): void {
    if (!this.#nodes.delete(path)) return;
    this.#checked = "";
    this.#folders.delete(path);
    rmSync(this.#full(path), { recursive: true, force: true });
  }

  /** Post-condition: folders have the modes and times that were asked for. */
  async finish(): Promise<void> {
    let count = 0;
    for (const [path, meta] of [...this.#folders].reverse()) {
      if (++count % BATCH === 0) await setImmediate();
      const full = this.#full(path);
      if (path !== "") chmodSync(full, meta.mode);
      this.#attributes(path, meta);
      setTimes(full, meta.mtime, meta.mtime);
    }
    this.#folders.clear();
  }

  #full(path: string): string {
    return path === "" ? this.#root : `${this.#root}/${path}`;
  }

  #make<T>(path: string, type: NodeType, make: () => T): T {
    if (path === "") throw new EngineError("invalid", "the build context has a file in place of its own folder");
    if (path.length > MAX_PATH) throw tooLong(path);
    this.#folder(parentOf(path), path);
    const there = this.#nodes.get(path);
    if (there === "directory") {
      if (type !== "directory")
        throw new EngineError("invalid", `the build context has a folder and a file ${JSON.stringify(path)}`);
      return undefined as T;
    }
    if (there !== undefined) rmSync(this.#full(path), { force: true });
    if (this.#nodes.size >= MAX_ENTRIES)
      throw new EngineError("too-large", `the build context has more than ${MAX_ENTRIES} files`, {
        hint: "Leave out what the build does not need with a .dockerignore file.",
      });
    const made = this.#guard(path, make);
    this.#nodes.set(path, type);
    return made;
  }

  /** Makes the folders on the way that no entry told of. */
  #folder(path: string, of: string): void {
    if (path === "" || path === this.#checked) return;
    const there = this.#nodes.get(path);
    // The whole way is asked each time: what is known may say of a folder's insides what was true before it became a link.
    this.#folder(parentOf(path), of);
    this.#checked = path;
    if (there === "directory") return;
    if (there !== undefined)
      throw new EngineError(
        "invalid",
        `the build context has ${JSON.stringify(of)} below ${JSON.stringify(path)}, which is no folder`,
      );
    this.directory(path, IMPLIED);
  }

  #attributes(path: string, { xattrs }: NodeMeta): void {
    for (const [name, value] of xattrs ?? [])
      if (name === "security.capability" || name.startsWith("user.")) {
        try {
          setXattr(this.#full(path), name, value);
        } catch (cause) {
          throw attributeRefused(path, name, cause);
        }
      }
  }

  /** Of a file that was made later. */
  #explain(error: unknown): never {
    const { path = "" } = error as NodeJS.ErrnoException;
    return this.#guard(path.slice(this.#root.length + 1), () => {
      throw error;
    });
  }

  #guard<T>(path: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (errnoOf(error) === "ENAMETOOLONG") throw tooLong(path);
      throw explainDiskFull(error, "writing the build context");
    }
  }
}

/** File systems take some kilobytes of them, or none; what is full then is not always the disk. */
function attributeRefused(path: string, name: string, cause: unknown): EngineError {
  const what = `the extended attribute ${JSON.stringify(name.slice(0, 200))} of ${JSON.stringify(path.slice(0, 200))}`;
  return new EngineError("invalid", `${what} in the build context could not be kept: ${errnoOf(cause) ?? ""}`, {
    hint: "Leave extended attributes out of the context's archive, or make room in the data root.",
    cause,
  });
}

const tooLong = (path: string): EngineError =>
  new EngineError("invalid", `the build context has a name that is too long: ${path.slice(0, 200)}…`);

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}
