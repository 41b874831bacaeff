/**
 * A folder of the client, as BuildKit's file sync has it: the client sends its listing, is asked for some of the files by their numbers in
 * it, sends these in pieces (several files at a time), and both say that they are done.
 */
import { EngineError } from "../../base/errors.ts";
import type { SyncLine } from "../../builder/context/contexts.ts";
import type { ClientCall } from "../grpc/client.ts";
import { Pieces } from "../grpc/pieces.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import type { MessageOf, PartOf } from "../protobuf/message.ts";
import { DATA, FAILURE, FIN, Packet, REQUEST, STAT, type Stat } from "../wire/session.ts";
import { kindOf, permissions } from "./go-mode.ts";

type Received = MessageOf<typeof Packet>;

/** What is asked for ahead of what is read: bytes, unless one file has more, and files. */
const AHEAD_BYTES = 8 << 20;
const AHEAD_FILES = 64;

/** Characters of a path or a link's target, before it is looked at more closely (sync-lines.ts). */
const MAX_PATH = 4095;

interface Wanted {
  readonly path: string;
  readonly id: number;
  readonly size: number;
}

export class FileSync {
  readonly #call: ClientCall;
  readonly #packets: AsyncGenerator<Received>;
  /** By the number of the line. */
  readonly #files: Wanted[] = [];

  constructor(call: ClientCall) {
    this.#call = call;
    this.#packets = packetsOf(call);
  }

  /** SyncLines as text. Devices, pipes and sockets are left out. */
  async *lines(): AsyncGenerator<string> {
    for (let id = 0; ; id++) {
      const { stat } = await this.#next(STAT);
      if (stat === undefined || stat.path === "") return;
      const line = lineOf(stat);
      if (line === undefined) continue;
      this.#files.push({ path: stat.path, id, size: line[4] });
      yield JSON.stringify(line);
    }
  }

  /** The bytes of these lines' files, one after another, each as long as its line says. */
  async *contents(numbers: readonly number[]): AsyncGenerator<Uint8Array> {
    const wanted = numbers.map((number) => this.#files[number] as Wanted);
    const held = new Map<number, Incoming>();
    let asked = 0;
    let ahead = 0;
    for (const file of wanted) {
      for (let next = wanted[asked]; next !== undefined; next = wanted[asked]) {
        if (held.size > 0 && (held.size >= AHEAD_FILES || ahead + next.size > AHEAD_BYTES)) break;
        held.set(next.id, new Incoming(next));
        asked++;
        ahead += next.size;
        await this.#send({ type: REQUEST, id: next.id });
      }
      const incoming = held.get(file.id) as Incoming;
      for (;;) {
        yield* incoming.take();
        if (incoming.ended) break;
        const { id, data } = await this.#next(DATA);
        const target = held.get(id);
        if (target === undefined)
          throw new EngineError("invalid", `the client sent a file that nobody asked for (${id})`);
        target.give(data);
      }
      held.delete(file.id);
      ahead -= file.size;
    }
  }

  /** Tells the client that nothing more is wanted, and waits until it is done too. */
  async finish(): Promise<void> {
    await this.#send({ type: FIN });
    for await (const { type } of this.#packets) if (type === FIN) break;
    this.#call.end();
  }

  async #next(type: number): Promise<Received> {
    for (;;) {
      const { value, done } = await this.#packets.next();
      if (done === true) throw new EngineError("cancelled", "the client stopped sending its files");
      if (value.type === FAILURE)
        throw new EngineError("invalid", `the client could not send its files: ${Buffer.from(value.data).toString()}`);
      if (value.type === type) return value;
      throw new EngineError("invalid", `the client sent a packet of type ${value.type} in place of ${type}`);
    }
  }

  #send(packet: PartOf<typeof Packet>): Promise<void> {
    return this.#call.send(encode(Packet, packet));
  }
}

async function* packetsOf(call: ClientCall): AsyncGenerator<Received> {
  for await (const message of call.messages()) yield decode(Packet, message);
}

/** A file whose pieces come between those of others. What grew since it was listed is cut off. */
class Incoming {
  ended = false;
  readonly #file: Wanted;
  #left: number;
  readonly #pieces: Pieces;

  constructor(file: Wanted) {
    this.#file = file;
    this.#left = file.size;
    this.#pieces = new Pieces(file.size);
  }

  give(data: Uint8Array): void {
    if (data.length > 0) {
      const piece = data.subarray(0, this.#left);
      this.#left -= piece.length;
      if (piece.length > 0) this.#pieces.add(piece);
      return;
    }
    if (this.#left > 0)
      throw new EngineError("invalid", `${JSON.stringify(this.#file.path)} became shorter while it was sent`, {
        hint: "Build when nothing writes to the folder, or leave the file out with .dockerignore.",
      });
    this.ended = true;
  }

  take(): Uint8Array[] {
    return this.#pieces.take();
  }
}

/** Undefined for what no build context has. */
function lineOf(stat: Stat): SyncLine | undefined {
  const { path, linkname, modTime, size } = stat;
  if (path.length > MAX_PATH || linkname.length > MAX_PATH)
    throw new EngineError("invalid", `the build context has a path of more than ${MAX_PATH} bytes`, {
      hint: "The kernel takes no longer one. Leave it out with a .dockerignore file.",
    });
  const kind = kindOf(stat.mode);
  if (kind === undefined) return undefined;
  const mode = permissions(stat.mode);
  if (kind === "f" && linkname !== "") return [path, "h", mode, String(modTime), 0, linkname, ""];
  return [path, kind, mode, String(modTime), kind === "f" ? size : 0, kind === "l" ? linkname : "", ""];
}
