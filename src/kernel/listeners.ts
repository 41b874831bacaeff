/** What a network namespace listens at, as /proc/net tells (man 5 proc). */
import { native } from "./native.ts";

export interface Listener {
  readonly protocol: "tcp" | "udp";
  /** Network order, 4 or 16 bytes. */
  readonly address: Buffer;
  readonly port: number;
}

const FILES = ["tcp", "tcp6", "udp", "udp6"] as const;
/** A listening TCP socket; an unconnected UDP socket. */
const STATE = { tcp: "0A", udp: "07" } as const;

/** The namespace's listening sockets; none where its files cannot be read. */
export function listenersIn(netns: string): Listener[] {
  return FILES.flatMap((file) => {
    const protocol = file.startsWith("tcp") ? "tcp" : "udp";
    return parse(read(netns, file), protocol);
  });
}

function read(netns: string, file: string): string {
  try {
    return native.readFileInside(netns, `/proc/thread-self/net/${file}`).toString("latin1");
  } catch {
    return "";
  }
}

function parse(text: string, protocol: Listener["protocol"]): Listener[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , state] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (state !== STATE[protocol] || port === "") return [];
      return [{ protocol, address: inNetworkOrder(address), port: Number.parseInt(port, 16) }];
    });
}

/** Words of four bytes, each in the machine's order. */
function inNetworkOrder(hex: string): Buffer {
  const words = hex.match(/.{8}/g) ?? [];
  return Buffer.concat(words.map((word) => Buffer.from(word, "hex").reverse()));
}
