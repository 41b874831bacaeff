/** Lines to a syslog service: RFC 3164, RFC 5424, and the form of the local socket, as Docker's driver writes them. */
import { existsSync, readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { EngineError } from "../../base/errors.ts";
import { timestampOf } from "../../base/time.ts";
import { UnixDatagrams } from "../../kernel/datagrams.ts";
import type { LogOptions } from "../options.ts";
import { type Address, parseAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import type { Shipper } from "./forwarder.ts";
import type { Line } from "./lines.ts";
import type { Identity, Service } from "./service.ts";
import { udpSender } from "./udp.ts";

export const syslog: Service = {
  options: [
    "syslog-address",
    "syslog-facility",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
    "syslog-format",
  ],
  destination(options, identity) {
    const address = addressOf(options["syslog-address"] ?? "");
    const facility = facilityOf(options["syslog-facility"] ?? "");
    const format = formatOf(options["syslog-format"] ?? "");
    return {
      connect: (signal) => {
        if (identity === undefined) throw new EngineError("internal", "nobody's lines to send");
        const message = (line: Line) => format.message(line, facility * 8 + (line.stderr ? 3 : 6), identity);
        // RFC 5425: over TLS each message has its length before it.
        const counted = format.modern && address?.scheme === "tcp+tls";
        return connect(address, options, { message, counted }, signal);
      },
    };
  },
};

const SCHEMES = ["udp", "tcp", "tcp+tls", "unix", "unixgram"];

/** Undefined: the socket of this machine. */
function addressOf(text: string): Address | undefined {
  if (text === "") return undefined;
  return parseAddress(text, { option: "syslog-address", schemes: SCHEMES, bare: false, host: "localhost", port: 514 });
}

const FACILITIES =
  "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp . . . . local0 local1 local2 local3 local4 local5 local6 local7".split(
    " ",
  );

function facilityOf(text: string): number {
  if (text === "") return FACILITIES.indexOf("daemon");
  const facility = /^\d{1,2}$/.test(text) ? Number(text) : FACILITIES.indexOf(text);
  if (text === "." || facility < 0 || facility > 23) throw new EngineError("invalid", "invalid syslog facility");
  return facility;
}

interface Format {
  message(line: Line, priority: number, identity: Identity): Buffer;
  /** RFC 5424. */
  readonly modern: boolean;
}

/** Like the engine's own process to whoever reads the log. */
const { pid } = process;

const head = (text: string, { text: body }: Line) => Buffer.concat([Buffer.from(text), body]);

const modern = (digits: number): Format => ({
  modern: true,
  message: (line, priority, { tag, hostname }) =>
    head(`<${priority}>1 ${newTime(line.time, digits)} ${hostname} ${tag} ${pid} ${tag} - `, line),
});

const FORMATS: Readonly<Record<string, Format>> = {
  // As it is written to the socket of the own machine.
  "": {
    modern: false,
    message: (line, priority, { tag }) => head(`<${priority}>${oldTime(line.time)} ${tag}[${pid}]: `, line),
  },
  rfc3164: {
    modern: false,
    message: (line, priority, { tag, hostname }) =>
      head(`<${priority}>${oldTime(line.time)} ${hostname} ${tag}[${pid}]: `, line),
  },
  rfc5424: modern(0),
  rfc5424micro: modern(6),
};

function formatOf(name: string): Format {
  const format = Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined;
  if (format === undefined) throw new EngineError("invalid", "Invalid syslog format");
  return format;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** "Jan  2 15:04:05", local time. */
function oldTime(time: bigint): string {
  const date = new Date(Number(time / 1_000_000n));
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2, " ")} ${clock}`;
}

function newTime(time: bigint, digits: number): string {
  const seconds = timestampOf(time).slice(0, 19);
  const fraction = String(time % 1_000_000_000n).padStart(9, "0");
  return digits === 0 ? `${seconds}Z` : `${seconds}.${fraction.slice(0, digits)}Z`;
}

interface Writer {
  message(line: Line): Buffer;
  readonly counted: boolean;
}

async function connect(
  address: Address | undefined,
  options: LogOptions,
  writer: Writer,
  signal: AbortSignal,
): Promise<Shipper> {
  if (address === undefined) return unixShipper(new UnixDatagrams(localSocket()), writer);
  const { scheme, host, port, path } = address;
  if (scheme === "unixgram") return unixShipper(new UnixDatagrams(path), writer);
  if (scheme === "udp") return udpShipper(host, port, writer);
  const kind = scheme === "tcp+tls" ? "tls" : "tcp";
  const target = scheme === "unix" ? ({ kind: "unix", path } as const) : ({ kind, host, port } as const);
  const connection = await Connection.open(target, kind === "tls" ? tlsOptions(options) : {}, signal);
  connection.socket.resume();
  return {
    send: (lines) => connection.write(Buffer.concat(lines.map((line) => framed(line, writer))), 0),
    close: () => connection.close(),
  };
}

function framed(line: Line, { message, counted }: Writer): Buffer {
  const bytes = message(line);
  return Buffer.concat(counted ? [Buffer.from(`${bytes.length} `), bytes] : [bytes, Buffer.from("\n")]);
}

/** What a syslog daemon on this machine listens on. */
function localSocket(): string {
  const found = ["/dev/log", "/var/run/syslog", "/var/run/log"].find((path) => existsSync(path));
  if (found === undefined) throw new EngineError("unavailable", "no syslog service listens on this machine");
  return found;
}

function unixShipper(socket: UnixDatagrams, { message }: Writer): Shipper {
  return {
    async send(lines, signal) {
      for (const line of lines) await socket.send(message(line), signal);
    },
    close: () => socket.close(),
  };
}

function udpShipper(host: string, port: number, { message }: Writer): Shipper {
  const sender = udpSender(host, port);
  return {
    async send(lines) {
      for (const line of lines) await sender.send(message(line));
    },
    close: () => sender.close(),
  };
}

function tlsOptions(options: LogOptions): ConnectionOptions {
  const read = (option: string) => {
    const path = options[option];
    return path === undefined || path === "" ? undefined : readFileSync(path);
  };
  return {
    ca: read("syslog-tls-ca-cert"),
    cert: read("syslog-tls-cert"),
    key: read("syslog-tls-key"),
    rejectUnauthorized: options["syslog-tls-skip-verify"] === undefined,
    minVersion: "TLSv1.2",
  };
}
