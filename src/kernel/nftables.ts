/**
 * nftables: whole rulesets as text through nft(8), single elements of maps by netlink, which takes a tenth of a millisecond
 * where the program takes ten.
 */
import { createHash } from "node:crypto";
import { EngineError, errnoOf } from "../base/errors.ts";
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

export interface Element {
  /** A set, or a map. */
  readonly set: string;
  /** The parts of a concatenation, each in network order. */
  readonly key: readonly Uint8Array[];
  /** The last key of an interval, of which `key` is the first. */
  readonly keyEnd?: readonly Uint8Array[] | undefined;
  /** A map's. */
  readonly value?: readonly Uint8Array[] | undefined;
}

export interface ElementChange {
  readonly table: string;
  readonly add: readonly Element[];
  readonly remove: readonly Element[];
}

const NETLINK_NETFILTER = 12;
const NFPROTO_INET = 1;
const SUBSYSTEM = 10;
const BATCH = { begin: 0x10, end: 0x11 } as const;
const MESSAGE = {
  listTables: (SUBSYSTEM << 8) | 1,
  listChains: (SUBSYSTEM << 8) | 4,
  listRules: (SUBSYSTEM << 8) | 7,
  add: (SUBSYSTEM << 8) | 12,
  get: (SUBSYSTEM << 8) | 13,
  remove: (SUBSYSTEM << 8) | 14,
  generation: (SUBSYSTEM << 8) | 16,
} as const;
const CHAIN = { table: 1, name: 3, hook: 4, policy: 5 } as const;
const HOOK_NUMBER = 1;
const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;
const FAMILIES: Readonly<Record<number, string>> = { 1: "inet", 2: "ip", 10: "ip6" };
const RULE_TABLE = 1;
const GENERATION_ID = 1;
const TABLE = { name: 1, userData: 6 } as const;
const LIST = { table: 1, set: 2, elements: 3 } as const;
const ELEMENT = { item: 1, key: 1, data: 2, keyEnd: 10 } as const;
const DATA_VALUE = 1;

/** A chain that the kernel itself calls. */
export interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** "forward"; "" for hooks that no IP packet passes. */
  readonly hook: string;
  /** Whether what no rule decides on is dropped. */
  readonly drops: boolean;
}

export interface TableHead {
  readonly name: string;
  /** What its maker wrote at it; "" when nothing. */
  readonly comment: string;
}

/** Reads what there is, and changes elements, of `inet` tables. Keep it: closing right after a removal makes the kernel wait for its clean-up, 15 ms. */
export class NftSocket {
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER);

  /** In one transaction. Throws ENOENT when the table, the map or an element to remove is not there, EEXIST when a key to add has another value. */
  changeElements({ table, add, remove }: ElementChange): void {
    const changes = [...elementRequests("remove", table, remove), ...elementRequests("add", table, add)];
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

  /** Of the families ip, ip6 and inet. */
  baseChains(): BaseChain[] {
    const header = Uint8Array.of(0, 0, 0, 0);
    return this.#socket
      .exchange([{ what: "list nftables chains", type: MESSAGE.listChains, flags: FLAG.dump, header }])
      .flatMap(({ payload }) => {
        const family = FAMILIES[payload[0] ?? 0];
        const found = decodeAttributes(payload, 4);
        const hook = found.get(CHAIN.hook);
        if (family === undefined || hook === undefined) return [];
        const number = decodeAttributes(hook).get(HOOK_NUMBER)?.readUInt32BE(0) ?? -1;
        const [table, name] = [decodeString(found.get(CHAIN.table)), decodeString(found.get(CHAIN.name))];
        return [
          { family, table, name, hook: HOOKS[number] ?? "", drops: found.get(CHAIN.policy)?.readUInt32BE(0) === 0 },
        ];
      });
  }

  /** Whether the table's set or map has this key; false when there is no such table. */
  has(table: string, { set, key }: Pick<Element, "set" | "key">): boolean {
    try {
      this.#socket.exchange([elementRequest("get", table, { set, members: [{ set, key }] })]);
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  /** The same for as long as nobody adds, changes or removes a rule of the table; that of no rules when there is no such table. */
  fingerprint(table: string): string {
    const header = Uint8Array.of(NFPROTO_INET, 0, 0, 0);
    const attributes: Attribute[] = [[RULE_TABLE, table]];
    const hash = createHash("sha1");
    const rules = this.#socket.exchange([
      { what: "list nftables rules", type: MESSAGE.listRules, flags: FLAG.dump, header, attributes },
    ]);
    // The first four bytes have the ruleset's generation in them.
    for (const { payload } of rules)
      if (decodeString(decodeAttributes(payload, 4).get(RULE_TABLE)) === table) hash.update(payload.subarray(4));
    return hash.digest("hex");
  }

  /** Another number after every change of any table of this network namespace. */
  generation(): number {
    const header = Uint8Array.of(0, 0, 0, 0);
    const [answer] = this.#socket.exchange([{ what: "get nftables generation", type: MESSAGE.generation, header }]);
    return answer === undefined ? 0 : (decodeAttributes(answer.payload, 4).get(GENERATION_ID)?.readUInt32BE(0) ?? 0);
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

/** Many in one message: the kernel answers each, and a socket has room for some two hundred answers. A message's list ends at 64 KiB. */
const ELEMENTS_AT_ONCE = 400;

function elementRequests(kind: "add" | "remove", table: string, elements: readonly Element[]): NetlinkRequest[] {
  const requests: NetlinkRequest[] = [];
  for (const [set, members] of Map.groupBy(elements, (element) => element.set))
    for (let at = 0; at < members.length; at += ELEMENTS_AT_ONCE)
      requests.push(elementRequest(kind, table, { set, members: members.slice(at, at + ELEMENTS_AT_ONCE) }));
  return requests;
}

function elementRequest(
  kind: "add" | "remove" | "get",
  table: string,
  { set, members }: { readonly set: string; readonly members: readonly Element[] },
): NetlinkRequest {
  return {
    what: `${kind} nftables element`,
    type: MESSAGE[kind],
    flags: kind === "add" ? FLAG.create : 0,
    header: Uint8Array.of(NFPROTO_INET, 0, 0, 0),
    attributes: [
      [LIST.table, table],
      [LIST.set, set],
      [LIST.elements, members.map((element): Attribute => [ELEMENT.item, elementParts(kind, element)])],
    ],
  };
}

function elementParts(kind: "add" | "remove" | "get", { key, keyEnd, value }: Element): Attribute[] {
  const parts: Attribute[] = [[ELEMENT.key, [[DATA_VALUE, concatenated(key)]]]];
  if (keyEnd !== undefined) parts.push([ELEMENT.keyEnd, [[DATA_VALUE, concatenated(keyEnd)]]]);
  if (kind === "add" && value !== undefined) parts.push([ELEMENT.data, [[DATA_VALUE, concatenated(value)]]]);
  return parts;
}

/** Each part takes whole registers of four bytes. */
function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts.map((part) => Buffer.concat([part, Buffer.alloc((4 - (part.length % 4)) % 4)])));
}

function batch(kind: "begin" | "end"): NetlinkRequest {
  return { what: `${kind} transaction`, type: BATCH[kind], header: Uint8Array.of(0, 0, 0, SUBSYSTEM), silent: true };
}
