/** Lines to the journal of systemd, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), with the fields of Docker's driver. */
import { existsSync } from "node:fs";
import { EngineError } from "../../base/errors.ts";
import { timestampOf } from "../../base/time.ts";
import { UnixDatagrams } from "../../kernel/datagrams.ts";
import type { Line } from "./lines.ts";
import type { Identity, Service } from "./service.ts";

const SOCKET = "/run/systemd/journal/socket";

export const journald: Service = {
  options: [],
  check() {
    if (!existsSync(SOCKET))
      throw new EngineError("unavailable", "failed to initialize logging driver: journald is not enabled on this host");
  },
  destination: (_options, identity) => ({
    async connect() {
      if (identity === undefined) throw new EngineError("internal", "nobody's lines to send");
      const common = Buffer.concat(commonFields(identity).map(([name, value]) => field(name, Buffer.from(value))));
      const socket = new UnixDatagrams(SOCKET);
      return {
        async send(lines, signal) {
          for (const line of lines) await socket.send(Buffer.concat([...lineFields(line), common]), signal);
        },
        close: () => socket.close(),
      };
    },
  }),
};

function commonFields({ subject, tag, attributes }: Identity): [string, string][] {
  const own: [string, string][] = [
    ["CONTAINER_ID", subject.id.slice(0, 12)],
    ["CONTAINER_ID_FULL", subject.id],
    ["CONTAINER_NAME", subject.name],
    ["CONTAINER_TAG", tag],
    ["IMAGE_NAME", subject.imageName],
    ["SYSLOG_IDENTIFIER", tag],
  ];
  const chosen = Object.entries(attributes).map(([name, value]): [string, string] => [fieldName(name), value]);
  return [...own, ...chosen.filter(([name]) => name !== "")];
}

/** Fields have capital letters, digits and "_", which does not come first. */
function fieldName(name: string): string {
  return name
    .toUpperCase()
    .replace(/[^A-Z0-9_]/g, "_")
    .replace(/^_+/, "")
    .slice(0, 64);
}

function lineFields({ stderr, text, time, part }: Line): Buffer[] {
  const fields = [
    field("MESSAGE", text),
    field("PRIORITY", Buffer.from(stderr ? "3" : "6")),
    field("SYSLOG_TIMESTAMP", Buffer.from(timestampOf(time))),
  ];
  if (part === undefined) return fields;
  const pieces = { MESSAGE: String(!part.last), ID: part.id, ORDINAL: String(part.ordinal), LAST: String(part.last) };
  for (const [name, value] of Object.entries(pieces))
    if (name !== "MESSAGE" || !part.last) fields.push(field(`CONTAINER_PARTIAL_${name}`, Buffer.from(value)));
  return fields;
}

/** With its length, so that the value may be any bytes. */
function field(name: string, value: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, Buffer.from("\n")]);
}
