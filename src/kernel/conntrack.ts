/** Connection tracking's memory (nf_conntrack): flows that it has translated once and goes on to translate, whatever the rules say now. */
import { type Attribute, decodeAttributes, FLAG, type NetlinkRequest, NetlinkSocket } from "./netlink-wire.ts";

export interface FlowFilter {
  readonly family: 4 | 6;
  /** IANA's number: 17 is UDP. */
  readonly protocol: number;
  /** The port that the first packet was sent to. */
  readonly port: number;
}

const NETLINK_NETFILTER = 12;
const SUBSYSTEM = 1;
const MESSAGE = { get: 1, delete: 2 } as const;
const AF = { 4: 2, 6: 10 } as const;
const ATTRIBUTE = { tupleOriginal: 1, id: 12, zone: 18, filter: 25 } as const;
const TUPLE_PROTOCOL = 2;
const PROTOCOL = { number: 1, destination: 3 } as const;
const FILTER_ORIGINAL = 1;
const FILTER = { protocol: 1 << 3, destination: 1 << 5 } as const;

export class ConntrackSocket {
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER);

  /** Forgets the flows that fit one of the filters; the next packet of each is judged anew. On a thread: the kernel walks the whole table. */
  async forget(filters: readonly FlowFilter[]): Promise<void> {
    for (const filter of filters) {
      const flows = await this.#socket.exchangeAside([list(filter)]);
      const deletions = flows.flatMap(({ payload }) => removal(filter, payload));
      if (deletions.length > 0) await this.#socket.exchangeAside(deletions);
    }
  }

  /** Idempotent. */
  close(): void {
    this.#socket.close();
  }
}

function list({ family, protocol, port }: FlowFilter): NetlinkRequest {
  const tuple: Attribute[] = [
    [
      TUPLE_PROTOCOL,
      [
        [PROTOCOL.number, Uint8Array.of(protocol)],
        [PROTOCOL.destination, Uint8Array.of(port >> 8, port & 0xff)],
      ],
    ],
  ];
  return request("list flows", MESSAGE.get, family, FLAG.dump, [
    [ATTRIBUTE.tupleOriginal, tuple],
    [ATTRIBUTE.filter, [[FILTER_ORIGINAL, FILTER.protocol | FILTER.destination]]],
  ]);
}

/** By the flow's own tuple and id: one that came in its place meanwhile stays. */
function removal({ family, protocol, port }: FlowFilter, payload: Buffer): NetlinkRequest[] {
  const found = decodeAttributes(payload, 4);
  const tuple = found.get(ATTRIBUTE.tupleOriginal);
  if (tuple === undefined || !fits(tuple, protocol, port)) return [];
  const kept = [ATTRIBUTE.id, ATTRIBUTE.zone].flatMap((type): Attribute[] => {
    const value = found.get(type);
    return value === undefined ? [] : [[type, value]];
  });
  const attributes: Attribute[] = [[ATTRIBUTE.tupleOriginal | NESTED, tuple], ...kept];
  return [{ ...request("delete flow", MESSAGE.delete, family, 0, attributes), tolerate: ["ENOENT"] }];
}

const NESTED = 0x8000;

/** Kernels before 5.8 know no filter and list everything. */
function fits(tuple: Buffer, protocol: number, port: number): boolean {
  const found = decodeAttributes(decodeAttributes(tuple).get(TUPLE_PROTOCOL) ?? Buffer.alloc(0));
  return found.get(PROTOCOL.number)?.[0] === protocol && found.get(PROTOCOL.destination)?.readUInt16BE(0) === port;
}

function request(
  what: string,
  message: number,
  family: 4 | 6,
  flags: number,
  attributes: readonly Attribute[],
): NetlinkRequest {
  return { what, type: (SUBSYSTEM << 8) | message, flags, header: Uint8Array.of(AF[family], 0, 0, 0), attributes };
}
