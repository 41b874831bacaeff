/** For tests: questions out of a namespace, and a name server of another's. */
import { createSocket } from "node:dgram";
import { createServer, type Server, Socket } from "node:net";
import { bindSocket, openSocket, SOCKET } from "../../kernel/netns.ts";
import { ipBytes, parseIp } from "../addresses.ts";
import { type Answer, encodeName, type Query, readQuery, respond, TYPE } from "./message.ts";
import { framed, Unframer } from "./stream.ts";

export interface QuestionOptions {
  readonly id?: number;
  readonly type?: number;
  /** The size that an OPT record offers; without one when undefined. */
  readonly edns?: number | undefined;
}

export function question(name: string, { id = 7, type = TYPE.a, edns }: QuestionOptions = {}): Buffer {
  const head = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns === undefined ? 0 : 1]);
  head.writeUInt16BE(id, 0);
  const opt = Buffer.from([0, 0, TYPE.opt, 0, 0, 0, 0, 0, 0, 0, 0]);
  opt.writeUInt16BE(edns ?? 0, 3);
  const encoded = encodeName(name) ?? Buffer.of(0);
  return Buffer.concat([head, encoded, Buffer.of(0, type, 0, 1), ...(edns === undefined ? [] : [opt])]);
}

export interface Told {
  readonly code: number;
  readonly truncated: boolean;
  /** IPv4 and IPv6 addresses as hexadecimal digits; of other records their data. */
  readonly data: readonly string[];
  readonly ttl: number | undefined;
  readonly packet: Buffer;
}

/** What the name server of the namespace answers; rejects after two seconds. */
export async function askIn(
  netns: string,
  packet: Buffer,
  { transport = "udp", address = "127.0.0.11" }: { transport?: "udp" | "tcp"; address?: string } = {},
): Promise<Told> {
  return read(await (transport === "udp" ? udp : tcp)(netns, packet, address));
}

const PATIENCE_MS = 2000;

function udp(netns: string, packet: Buffer, address: string): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.bind({ fd: openSocket({ netns, family: 2, type: SOCKET.datagram, protocol: 0 }) });
    const end = (error: Error | undefined, answer?: Buffer) => {
      clearTimeout(timer);
      socket.close();
      if (error !== undefined) reject(error);
      else resolve(answer ?? Buffer.alloc(0));
    };
    const timer = setTimeout(() => end(new Error("no answer")), PATIENCE_MS);
    socket.once("message", (answer) => end(undefined, answer));
    socket.once("error", end);
    socket.connect(53, address, () => socket.send(packet));
  });
}

function tcp(netns: string, packet: Buffer, address: string): Promise<Buffer> {
  return new Promise<Buffer>((resolve, reject) => {
    const fd = openSocket({ netns, family: 2, type: SOCKET.stream, protocol: 0 });
    const socket = new Socket({ fd, readable: true, writable: true }).connect({ host: address, port: 53 });
    const messages = new Unframer();
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error("no answer")));
    socket.on("connect", () => socket.write(framed(packet)));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed without an answer")));
    socket.on("data", (chunk: Buffer) => {
      const [answer] = messages.push(chunk);
      if (answer === undefined) return;
      resolve(answer);
      socket.destroy();
    });
  });
}

function read(packet: Buffer): Told {
  const flags = packet.readUInt16BE(2);
  const data: string[] = [];
  let ttl: number | undefined;
  let at = packet.readUInt16BE(4) === 0 ? 12 : packet.indexOf(0, 12) + 5;
  for (let left = packet.readUInt16BE(6); left > 0; left--) {
    ttl ??= packet.readUInt32BE(at + 6);
    const length = packet.readUInt16BE(at + 10);
    data.push(packet.toString("hex", at + 12, at + 12 + length));
    at += 12 + length;
  }
  return { code: flags & 0xf, truncated: (flags & 0x200) !== 0, data, ttl, packet };
}

export function hex(address: string | undefined): string {
  return ipBytes(parseIp(address ?? "") ?? { family: 4, value: 0n }).toString("hex");
}

export interface Asked {
  readonly query: Query;
  readonly from: string;
  readonly transport: "udp" | "tcp";
}

/** What a server of the test's says; undefined: nothing. */
export type Say = (asked: Asked) => Buffer | readonly Buffer[] | undefined;

export interface NameServerDouble extends Disposable {
  readonly asked: Asked[];
}

/** A name server at port 53 of the address, by UDP and TCP; in the host's namespace when none is given. */
export async function nameServer(address: string, say: Say, netns?: string): Promise<NameServerDouble> {
  const asked: Asked[] = [];
  const bytes = ipBytes(parseIp(address) ?? { family: 4, value: 0n });
  const answers = (packet: Buffer, from: string, transport: Asked["transport"]) => {
    const query = readQuery(packet);
    if (query === undefined || typeof query === "number") return [];
    asked.push({ query, from, transport });
    return [say({ query, from, transport }) ?? []].flat();
  };
  const socket = createSocket("udp4");
  socket.on("message", (packet, from) => {
    for (const answer of answers(packet, from.address, "udp")) socket.send(answer, from.port, from.address);
  });
  socket.bind({ fd: bindSocket({ netns, type: "datagram", address: bytes, port: 53 }) });
  const server: Server = createServer((client) => {
    const messages = new Unframer();
    client.on("error", () => {});
    client.on("data", (chunk: Buffer) => {
      for (const message of messages.push(chunk))
        for (const answer of answers(message, client.remoteAddress ?? "", "tcp")) client.write(framed(answer));
    });
  });
  const listening = new Promise((resolve) => server.once("listening", resolve));
  server.listen({ fd: bindSocket({ netns, type: "stream", address: bytes, port: 53 }) });
  await listening;
  return {
    asked,
    [Symbol.dispose]() {
      socket.close();
      server.close();
    },
  };
}

/** A response with these addresses to the query. */
export function says(query: Query, addresses: readonly string[], ttl = 60): Buffer {
  const answers: Answer[] = addresses.map((address) => ({
    type: TYPE.a,
    ttl,
    data: ipBytes(parseIp(address) ?? { family: 4, value: 0n }),
  }));
  return respond(query, 0, answers, { udp: false });
}
