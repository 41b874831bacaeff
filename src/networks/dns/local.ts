/** What the server answers itself: names and addresses of containers. */
import { randomInt } from "node:crypto";
import { formatIp, type Ip, ipBytes, parseIp } from "../addresses.ts";
import type { Directory } from "./directory.ts";
import { type Answer, CLASS_INTERNET, encodeName, type Query, TYPE } from "./message.ts";

/** Seconds. Short: a container that starts again may have another address. */
const TTL = 5;

/**
 * The answers for a container; none when the name is known and has nothing of the kind that was asked for (so that a question for IPv6
 * is answered at once where there is none); undefined when the name is nobody's.
 */
export function answerLocally(directory: Directory, containerId: string, query: Query): readonly Answer[] | undefined {
  if (query.class !== CLASS_INTERNET) return undefined;
  if (query.type === TYPE.ptr) return owner(directory, containerId, query.name);
  const addresses = directory.lookup(containerId, query.name);
  if (addresses === undefined) return undefined;
  if (query.type === TYPE.a) return shuffled(addresses[4]).map((text) => address(TYPE.a, text));
  if (query.type === TYPE.aaaa) return shuffled(addresses[6]).map((text) => address(TYPE.aaaa, text));
  return [];
}

function address(type: number, text: string): Answer {
  return { type, ttl: TTL, data: ipBytes(parseIp(text) ?? { family: 4, value: 0n }) };
}

function owner(directory: Directory, containerId: string, name: string): Answer[] | undefined {
  const ip = reverseName(name);
  const found = ip === undefined ? undefined : directory.ownerOf(containerId, formatIp(ip));
  const data = found === undefined ? undefined : encodeName(found);
  return data === undefined ? undefined : [{ type: TYPE.ptr, ttl: TTL, data }];
}

/** The address of "4.3.2.1.in-addr.arpa", or of its like in IPv6. */
export function reverseName(name: string): Ip | undefined {
  const four = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name)?.[1];
  if (four !== undefined) return parseIp(four.split(".").slice(0, 4).reverse().join("."));
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  if (six === undefined) return undefined;
  return { family: 6, value: BigInt(`0x${six.split(".").reverse().join("")}`) };
}

/** Each order is as likely, so that who takes the first spreads its requests. */
function shuffled<T>(values: readonly T[]): T[] {
  const result = [...values];
  for (let last = result.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    const [a, b] = [result[last], result[other]];
    if (a !== undefined && b !== undefined) [result[last], result[other]] = [b, a];
  }
  return result;
}
