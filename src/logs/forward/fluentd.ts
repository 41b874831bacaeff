/** Lines to fluentd or fluent-bit by the forward protocol, version 1, with the records of Docker's driver. */
import { randomBytes } from "node:crypto";
import { EngineError } from "../../base/errors.ts";
import { type LogOptions, parseBoolean, parseDurationOption, parseInteger } from "../options.ts";
import { type Address, parseAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import type { Shipper } from "./forwarder.ts";
import type { Line } from "./lines.ts";
import { EventTime, type Packed, pack } from "./msgpack.ts";
import type { Identity, Service } from "./service.ts";

export const fluentd: Service = {
  options: [
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-connect",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-read-timeout",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
  ],
  destination(options, identity) {
    const wishes = wishesOf(options);
    return {
      maxTries: wishes.maxTries,
      firstPause: wishes.retryWait,
      connect: (signal) => {
        if (identity === undefined) throw new EngineError("internal", "nobody's lines to send");
        return connect(wishes, identity, signal);
      },
    };
  },
};

interface Wishes {
  readonly address: Address;
  readonly acknowledged: boolean;
  readonly nanoseconds: boolean;
  readonly maxTries: number | undefined;
  /** Milliseconds; undefined: the usual. */
  readonly retryWait: number | undefined;
  /** Milliseconds; 0: none. */
  readonly writeTimeout: number;
  readonly readTimeout: number;
}

/** Lines always wait on the disk, never in memory: the options of that (fluentd-async, fluentd-buffer-limit) have nothing to say. */
function wishesOf(options: LogOptions): Wishes {
  const flag = (name: string) => {
    const text = options[name];
    return text === undefined || text === "" ? false : parseBoolean(name, text);
  };
  for (const name of ["fluentd-async", "fluentd-async-connect"]) flag(name);
  parseDurationOption(options, "fluentd-async-reconnect-interval");
  const retries = parseInteger(options, "fluentd-max-retries");
  return {
    address: parseAddress(options["fluentd-address"] || "localhost", {
      option: "fluentd-address",
      schemes: ["tcp", "tls", "unix"],
      bare: true,
      host: "localhost",
      port: 24224,
    }),
    acknowledged: flag("fluentd-request-ack"),
    nanoseconds: flag("fluentd-sub-second-precision"),
    maxTries: retries === undefined ? undefined : retries + 1,
    retryWait: parseDurationOption(options, "fluentd-retry-wait"),
    writeTimeout: parseDurationOption(options, "fluentd-write-timeout") ?? 0,
    readTimeout: parseDurationOption(options, "fluentd-read-timeout") || 30_000,
  };
}

async function connect(wishes: Wishes, identity: Identity, signal: AbortSignal): Promise<Shipper> {
  const { scheme, host, port, path } = wishes.address;
  const target =
    scheme === "unix"
      ? ({ kind: "unix", path } as const)
      : ({ kind: scheme === "tls" ? "tls" : "tcp", host, port } as const);
  const connection = await Connection.open(target, {}, signal);
  const answers = new Answers(connection);
  return {
    async send(lines) {
      const chunk = wishes.acknowledged ? randomBytes(16).toString("base64") : undefined;
      const option: Packed = chunk === undefined ? { size: lines.length } : { size: lines.length, chunk };
      const records = lines.map((line): Packed => [timeOf(line, wishes), recordOf(line, identity)]);
      await connection.write(pack([identity.tag, records, option]), wishes.writeTimeout);
      if (chunk !== undefined) await answers.contain(chunk, wishes.readTimeout);
    },
    close: () => connection.close(),
  };
}

function timeOf({ time }: Line, { nanoseconds }: Wishes): Packed {
  return nanoseconds ? new EventTime(time) : Number(time / 1_000_000_000n);
}

function recordOf({ stderr, text, part }: Line, { subject, attributes }: Identity): Packed {
  return {
    container_id: subject.id,
    container_name: `/${subject.name}`,
    source: stderr ? "stderr" : "stdout",
    log: text,
    ...attributes,
    ...(part === undefined
      ? {}
      : {
          partial_message: "true",
          partial_id: part.id,
          partial_ordinal: String(part.ordinal),
          partial_last: String(part.last),
        }),
  };
}

/** What the service sends: nothing but `{"ack": <the chunk's name>}`. */
class Answers {
  readonly #connection: Connection;
  #received = "";
  #arrived: () => void = () => {};

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.socket.on("data", (bytes: Buffer) => {
      this.#received = (this.#received + bytes.toString("latin1")).slice(-1024);
      this.#arrived();
    });
    connection.socket.on("close", () => this.#arrived());
  }

  async contain(chunk: string, timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    const late = setTimeout(() => this.#arrived(), timeout);
    try {
      while (!this.#received.includes(chunk)) {
        if (this.#connection.socket.destroyed) throw new Error("the log service hung up before it had the lines");
        if (performance.now() >= end) throw new Error("the log service does not acknowledge the lines");
        await new Promise<void>((resolve) => (this.#arrived = resolve));
      }
    } finally {
      clearTimeout(late);
    }
  }
}
