/** The one kind of graph that is solved: a file or a repository from afar, which clients read definitions from (`-f https://…`, Bake). */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { newId } from "../../base/ids.ts";
import type { Contexts, OwnedContext } from "../../builder/context/contexts.ts";
import { openIn } from "../../kernel/rooted.ts";
import { decode } from "../protobuf/decode.ts";
import type { MessageOf, PartOf } from "../protobuf/message.ts";
import { goMode } from "../session/go-mode.ts";
import type { Result } from "../wire/gateway.ts";
import { type Definition, Op } from "../wire/ops.ts";
import type { Stat } from "../wire/session.ts";
import type { Job } from "./jobs.ts";

/** Bytes of a file that is read. */
const MAX_FILE = 4 << 20;

/** The address of a graph that is one file or repository; undefined for any other. */
export function remoteOf(definition: MessageOf<typeof Definition> | undefined): string | undefined {
  const ops = (definition?.def ?? []).map((bytes) => decode(Op, bytes));
  const sources = ops.flatMap(({ source }) => source ?? []);
  const [source] = sources;
  // The last one only names what is asked for.
  if (source === undefined || ops.length > 2) return undefined;
  const { identifier, attrs } = source;
  if (/^https?:\/\//.test(identifier)) return identifier;
  if (!identifier.startsWith("git://")) return undefined;
  const [, fragment] = identifier.split("#");
  const url = attrs["git.fullurl"] ?? identifier.split("#")[0];
  return fragment === undefined ? url : `${url}#${fragment}`;
}

export class RemoteFiles {
  readonly #contexts: Contexts;
  /** By the references that clients have; as long as their jobs. */
  readonly #fetched = new Map<string, OwnedContext>();

  constructor(contexts: Contexts) {
    this.#contexts = contexts;
  }

  async fetch(job: Job, url: string): Promise<Result> {
    const fetched = await job.progress.shown(`[internal] load ${url}`, () =>
      this.#contexts.fetch(url, { signal: job.signal }),
    );
    const id = newId();
    this.#fetched.set(id, fetched);
    await job.defer(async () => {
      this.#fetched.delete(id);
      await fetched[Symbol.asyncDispose]();
    });
    return { ref: { id } };
  }

  /** Of an address that was a text, whatever name it is asked for by; else of what was checked out or unpacked. */
  read(ref: string, path: string): Buffer {
    const { dockerfile, tree } = this.#of(ref);
    if (dockerfile !== undefined) return Buffer.from(dockerfile);
    return withFile(tree.root, path, (fd, size) => {
      if (size > MAX_FILE)
        throw new EngineError("too-large", `${path} has ${size} bytes, at most ${MAX_FILE} are read`);
      const bytes = Buffer.alloc(size);
      let length = 0;
      for (let read = -1; read !== 0 && length < size; length += read)
        read = readSync(fd, bytes, length, size - length, length);
      return bytes.subarray(0, length);
    });
  }

  stat(ref: string, path: string): PartOf<typeof Stat> {
    const { dockerfile, tree } = this.#of(ref);
    const mode = goMode("file", 0o644);
    if (dockerfile !== undefined) return { path, mode, size: Buffer.byteLength(dockerfile) };
    return withFile(tree.root, path, (_, size) => ({ path, mode, size }));
  }

  #of(ref: string): OwnedContext {
    const fetched = this.#fetched.get(ref);
    if (fetched !== undefined) return fetched;
    throw new EngineError("not-implemented", "files of a build's result cannot be read", {
      hint: "Export them with --output.",
    });
  }
}

function withFile<T>(root: string, path: string, use: (fd: number, size: number) => T): T {
  const rootFd = openSync(root, constants.O_DIRECTORY | constants.O_RDONLY);
  try {
    const fd = openIn(rootFd, path, { flags: constants.O_RDONLY | constants.O_NONBLOCK });
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new EngineError("invalid", `${path} is no file`);
      return use(fd, stat.size);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if (errnoOf(cause) === undefined) throw cause;
    throw new EngineError("not-found", `open ${path}: no such file or directory`, { cause });
  } finally {
    closeSync(rootFd);
  }
}
