/** Lines to Graylog, Logstash and others in GELF 1.1, with the fields of Docker's driver: over UDP packed and in chunks, over TCP plain. */
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { deflate, gzip } from "node:zlib";
import { EngineError } from "../../base/errors.ts";
import { type LogOptions, parseInteger } from "../options.ts";
import { type Address, parseAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import type { Shipper } from "./forwarder.ts";
import type { Line } from "./lines.ts";
import type { Identity, Service } from "./service.ts";
import { udpSender } from "./udp.ts";

export const gelf: Service = {
  options: [
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
  ],
  destination(options, identity) {
    const address = addressOf(options["gelf-address"] ?? "");
    const pack = packerOf(options, address);
    return {
      firstPause: reconnectDelay(options, address),
      connect: (signal) => {
        if (identity === undefined) throw new EngineError("internal", "nobody's lines to send");
        const message = (line: Line) => Buffer.from(JSON.stringify(messageOf(line, identity)));
        return address.scheme === "udp" ? udpShipper(address, message, pack) : tcpShipper(address, message, signal);
      },
    };
  },
};

function addressOf(text: string): Address {
  if (text === "") throw new EngineError("invalid", "gelf-address is a required parameter");
  if (!/:\d+$/.test(text))
    throw new EngineError("invalid", `gelf: please provide gelf-address as proto://host:port, got ${text}`);
  return parseAddress(text, {
    option: "gelf-address",
    schemes: ["udp", "tcp"],
    bare: false,
    host: "localhost",
    port: 12201,
  });
}

type Packer = (bytes: Buffer) => Promise<Buffer>;

const PACKERS: Readonly<Record<string, (level: number) => Packer>> = {
  gzip: (level) => (bytes) => promisify(gzip)(bytes, { level }),
  zlib: (level) => (bytes) => promisify(deflate)(bytes, { level }),
  none: () => (bytes) => Promise.resolve(bytes),
};

function packerOf(options: LogOptions, { scheme }: Address): Packer {
  const { "gelf-compression-type": type = "gzip", "gelf-compression-level": level = "1" } = options;
  const given = ["gelf-compression-type", "gelf-compression-level"].find((name) => options[name] !== undefined);
  if (scheme !== "udp" && given !== undefined)
    throw new EngineError("invalid", `${given} is only supported on UDP`, {
      hint: "Over TCP messages are never packed.",
    });
  const packer = Object.hasOwn(PACKERS, type) ? PACKERS[type] : undefined;
  if (packer === undefined)
    throw new EngineError("invalid", `gelf: unknown value "${type}" for gelf-compression-type`, {
      hint: "gzip, zlib and none are known.",
    });
  if (!/^(?:-1|\d)$/.test(level))
    throw new EngineError("invalid", `gelf: unknown value "${level}" for gelf-compression-level`, {
      hint: "-1 to 9 are possible.",
    });
  return packer(Number(level));
}

/** Milliseconds. How often it is tried again has no bound here: lines wait on the disk. */
function reconnectDelay(options: LogOptions, { scheme }: Address): number | undefined {
  for (const name of ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"])
    if (scheme !== "tcp" && options[name] !== undefined)
      throw new EngineError("invalid", `${name} is only supported on TCP`);
  parseInteger(options, "gelf-tcp-max-reconnect");
  const seconds = parseInteger(options, "gelf-tcp-reconnect-delay");
  return seconds === undefined ? undefined : seconds * 1000;
}

/** Levels of syslog. */
const LEVEL = { error: 3, info: 6 } as const;

function messageOf({ stderr, text, time, part }: Line, { subject, tag, attributes, hostname }: Identity): object {
  const own = {
    container_id: subject.id,
    container_name: subject.name,
    image_id: subject.imageId,
    image_name: subject.imageName,
    command: subject.command.join(" "),
    tag,
    created: subject.createdAt,
  };
  const pieces =
    part === undefined ? {} : { partial_id: part.id, partial_ordinal: part.ordinal, partial_last: String(part.last) };
  const further = Object.entries({ ...attributes, ...own, ...pieces });
  return {
    version: "1.1",
    host: hostname,
    short_message: text.toString(),
    timestamp: Number(time / 1_000_000n) / 1000,
    level: stderr ? LEVEL.error : LEVEL.info,
    ...Object.fromEntries(further.map(([name, value]) => [`_${name}`, value])),
  };
}

async function tcpShipper(
  { host, port }: Address,
  message: (line: Line) => Buffer,
  signal: AbortSignal,
): Promise<Shipper> {
  const connection = await Connection.open({ kind: "tcp", host, port }, {}, signal);
  connection.socket.resume();
  const end = Buffer.from([0]);
  return {
    send: (lines) => connection.write(Buffer.concat(lines.flatMap((line) => [message(line), end])), 0),
    close: () => connection.close(),
  };
}

async function udpShipper({ host, port }: Address, message: (line: Line) => Buffer, pack: Packer): Promise<Shipper> {
  const sender = udpSender(host, port);
  return {
    async send(lines) {
      for (const line of lines) for (const part of chunks(await pack(message(line)))) await sender.send(part);
    },
    close: () => sender.close(),
  };
}

/** What fits into a datagram on any way through the internet, and what GELF allows of them. */
const DATAGRAM = 1420;
const HEAD = 12;
const MOST = 128;

/** Two magic bytes, eight that all chunks of a message share, which one it is, of how many. A message that would need too many is cut: 16 KiB of text never do. */
function chunks(message: Buffer): Buffer[] {
  if (message.length <= DATAGRAM) return [message];
  const room = DATAGRAM - HEAD;
  const count = Math.min(Math.ceil(message.length / room), MOST);
  const id = randomBytes(8);
  return Array.from({ length: count }, (_, at) =>
    Buffer.concat([
      Buffer.from([0x1e, 0x0f]),
      id,
      Buffer.from([at, count]),
      message.subarray(at * room, (at + 1) * room),
    ]),
  );
}
