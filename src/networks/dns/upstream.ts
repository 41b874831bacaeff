/** One question to one name server: a new socket each, so that neither its port nor its id can be guessed from the last one. */
import { randomInt } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createConnection, Socket as TcpSocket } from "node:net";
import { openSocket, SOCKET } from "../../kernel/netns.ts";
import { type Query, type Response, readResponse, withId } from "./message.ts";
import { framed, Unframer } from "./stream.ts";

export interface NameServer {
  readonly address: string;
  readonly port: number;
  /** The namespace from which it is asked; undefined: the host's. */
  readonly netns: string | undefined;
}

export interface UpstreamAnswer extends Response {
  readonly packet: Buffer;
}

export interface AskOptions {
  readonly transport: "udp" | "tcp";
  readonly timeoutMs: number;
}

const AF = { 4: 2, 6: 10 } as const;

/** The server's answer; undefined when there is none in time, or the server cannot be reached. What is no answer to the query is passed over. */
export async function askServer(
  server: NameServer,
  query: Query,
  { transport, timeoutMs }: AskOptions,
): Promise<UpstreamAnswer | undefined> {
  const id = randomInt(65_536);
  const packet = withId(query.packet, id);
  const read = (answer: Buffer): UpstreamAnswer | undefined => {
    const response = readResponse(answer, query, id);
    return response && { ...response, packet: answer };
  };
  try {
    return await (transport === "udp" ? askUdp : askTcp)(server, packet, read, timeoutMs);
  } catch {
    return undefined;
  }
}

type Read = (answer: Buffer) => UpstreamAnswer | undefined;

function askUdp(
  server: NameServer,
  packet: Buffer,
  read: Read,
  timeoutMs: number,
): Promise<UpstreamAnswer | undefined> {
  const socket = udpSocket(server);
  return new Promise<UpstreamAnswer | undefined>((resolve, reject) => {
    const timer = setTimeout(resolve, timeoutMs, undefined);
    socket.on("message", (message) => {
      const answer = read(message);
      if (answer !== undefined) resolve(answer);
    });
    socket.on("error", reject);
    // Connected, so that nobody else's packets come in and a refusal is told.
    socket.once("connect", () => socket.send(packet, (error) => error && reject(error)));
    socket.connect(server.port, server.address);
    socket.once("close", () => clearTimeout(timer));
  }).finally(() => socket.close());
}

function udpSocket({ address, netns }: NameServer): UdpSocket {
  const family = address.includes(":") ? 6 : 4;
  const socket = createSocket({ type: `udp${family}`, recvBufferSize: 65_536 });
  if (netns !== undefined)
    socket.bind({ fd: openSocket({ netns, family: AF[family], type: SOCKET.datagram, protocol: 0 }) });
  return socket;
}

function askTcp(
  server: NameServer,
  packet: Buffer,
  read: Read,
  timeoutMs: number,
): Promise<UpstreamAnswer | undefined> {
  const socket = tcpSocket(server);
  return new Promise<UpstreamAnswer | undefined>((resolve, reject) => {
    const messages = new Unframer();
    const timer = setTimeout(resolve, timeoutMs, undefined);
    socket.on("data", (chunk: Buffer) => {
      for (const message of messages.push(chunk)) {
        const answer = read(message);
        if (answer !== undefined) resolve(answer);
      }
    });
    socket.once("connect", () => socket.write(framed(packet)));
    socket.on("error", reject);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  }).finally(() => socket.destroy());
}

function tcpSocket({ address, port, netns }: NameServer): TcpSocket {
  if (netns === undefined) return createConnection({ host: address, port });
  const fd = openSocket({ netns, family: AF[address.includes(":") ? 6 : 4], type: SOCKET.stream, protocol: 0 });
  return new TcpSocket({ fd, readable: true, writable: true }).connect({ host: address, port });
}
