/**
 * nftables: whole rulesets as text through nft(8), single elements of maps by netlink, which takes a tenth of a millisecond
 * where the program takes ten.
 */
import { EngineError } from "../base/errors.ts";
import {
  type Attribute,
  decodeAttributes,
  decodeString,
  FLAG,
  type NetlinkRequest,
  NetlinkSocket,
} from "./netlink-wire.ts";
import { run } from "./spawn.ts";

/** Applies the text in one transaction: all of it or nothing. "unavailable" when nft is missing, "internal" with nft's words when it refuses. */
export async function applyRuleset(text: string): Promise<void> {
  await nft(["-f", "-"], text);
}

/** Everything about one table as nft's JSON objects (`{chain: …}`, `{rule: …}`); undefined when there is no such table. */
export async function listTable(
  family: string,
  table: string,
): Promise<readonly Readonly<Record<string, unknown>>[] | undefined> {
  const { code, stdout, stderr } = await runNft(["-j", "list", "table", family, table]);
  if (code === 0) return (JSON.parse(stdout.toString()) as { nftables: Record<string, unknown>[] }).nftables;
  if (/No such file or directory/.test(stderr.toString())) return undefined;
  throw failed(stderr);
}

/** The chains of all tables as nft's JSON objects. */
export async function listChains(): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const stdout = await nft(["-j", "list", "chains"]);
  const { nftables } = JSON.parse(stdout) as { nftables: { chain?: Record<string, unknown> }[] };
  return nftables.flatMap(({ chain }) => (chain === undefined ? [] : [chain]));
}

async function nft(args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await runNft(args, input);
  if (code !== 0) throw failed(stderr);
  return stdout.toString();
}

async function runNft(args: readonly string[], input?: string) {
  try {
    return await run("nft", args, { input });
  } catch (cause) {
    if ((cause as { code?: string }).code !== "ENOENT") throw cause;
    throw new EngineError("unavailable", "nft, which sets up the firewall, was not found", {
      hint: "install nftables, or start with --iptables=false",
      cause,
    });
  }
}

function failed(stderr: Buffer): EngineError {
  return new EngineError("internal", `nft: ${stderr.toString().trim().split("\n").slice(0, 3).join(" ")}`);
}

export interface MapElement {
  readonly map: string;
  /** The parts of a concatenation, each in network order. */
  readonly key: readonly Uint8Array[];
  readonly value: readonly Uint8Array[];
}

export interface ElementChange {
  readonly table: string;
  readonly add: readonly MapElement[];
  readonly remove: readonly MapElement[];
}

const NETLINK_NETFILTER = 12;
const NFPROTO_INET = 1;
const SUBSYSTEM = 10;
const BATCH = { begin: 0x10, end: 0x11 } as const;
const MESSAGE = {
  listTables: (SUBSYSTEM << 8) | 1,
  add: (SUBSYSTEM << 8) | 12,
  remove: (SUBSYSTEM << 8) | 14,
} as const;
const TABLE = { name: 1, userData: 6 } as const;
const LIST = { table: 1, set: 2, elements: 3 } as const;
const ELEMENT = { item: 1, key: 1, data: 2 } as const;
const DATA_VALUE = 1;

export interface TableHead {
  readonly name: string;
  /** What its maker wrote at it; "" when nothing. */
  readonly comment: string;
}

/** Changes elements of maps of `inet` tables. Keep it: closing right after a removal makes the kernel wait for its clean-up, 15 ms. */
export class ElementSocket {
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER);

  /** In one transaction. Throws ENOENT when the table, the map or an element to remove is not there, EEXIST when a key to add has another value. */
  change({ table, add, remove }: ElementChange): void {
    const changes = [
      ...remove.map((element) => elementRequest("remove", table, element)),
      ...add.map((element) => elementRequest("add", table, element)),
    ];
    if (changes.length > 0) this.#socket.exchange([batch("begin"), ...changes, batch("end")]);
  }

  /** The tables of the family inet. */
  tables(): TableHead[] {
    const header = Uint8Array.of(NFPROTO_INET, 0, 0, 0);
    return this.#socket
      .exchange([{ what: "list nftables tables", type: MESSAGE.listTables, flags: FLAG.dump, header }])
      .map(({ payload }) => {
        const found = decodeAttributes(payload, 4);
        return { name: decodeString(found.get(TABLE.name)), comment: commentOf(found.get(TABLE.userData)) };
      });
  }

  /** Idempotent. */
  close(): void {
    this.#socket.close();
  }
}

/** libnftnl's user data: type (0: comment), length, a string that ends in NUL. */
function commentOf(data: Buffer | undefined): string {
  return data === undefined || data[0] !== 0 ? "" : decodeString(data.subarray(2, 2 + (data[1] ?? 0)));
}

function elementRequest(kind: "add" | "remove", table: string, { map, key, value }: MapElement): NetlinkRequest {
  const parts: Attribute[] = [[ELEMENT.key, [[DATA_VALUE, concatenated(key)]]]];
  if (kind === "add") parts.push([ELEMENT.data, [[DATA_VALUE, concatenated(value)]]]);
  return {
    what: `${kind} nftables element`,
    type: MESSAGE[kind],
    flags: kind === "add" ? FLAG.create : 0,
    header: Uint8Array.of(NFPROTO_INET, 0, 0, 0),
    attributes: [
      [LIST.table, table],
      [LIST.set, map],
      [LIST.elements, [[ELEMENT.item, parts]]],
    ],
  };
}

/** Each part takes whole registers of four bytes. */
function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts.map((part) => Buffer.concat([part, Buffer.alloc((4 - (part.length % 4)) % 4)])));
}

function batch(kind: "begin" | "end"): NetlinkRequest {
  return { what: `${kind} transaction`, type: BATCH[kind], header: Uint8Array.of(0, 0, 0, SUBSYSTEM), silent: true };
}
