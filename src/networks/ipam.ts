/**
 * Addresses of networks: which are taken is in the database, so two are never the same and none is lost by a crash.
 * Call inside the transaction that writes the endpoint.
 */
import type { IPAMConfig } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import type { Store } from "../store/store.ts";
import { type Cidr, contains, type Family, type Ip, max, min, parseCidr, parseIp } from "./addresses.ts";
import type { NetworkRecord } from "./records.ts";

export interface AddressRequest {
  readonly network: NetworkRecord;
  readonly family: Family;
  /** The address wished for; the lowest free one otherwise, as Docker does. */
  readonly wished?: string | undefined;
  /** Undefined: the network's own. */
  readonly endpointId: string | undefined;
}

export interface TakenAddress {
  readonly ip: Ip;
  readonly subnet: Cidr;
  readonly gateway: Ip | undefined;
}

const HEX_DIGITS = 32;

export class Ipam {
  readonly #store: Store;
  /** Per range, a number below which everything is taken: finding the lowest free one does not start anew each time. */
  readonly #full = new Map<string, bigint>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** "forbidden" when the wished address is taken, "invalid" when it lies in no subnet, "internal" when all are taken; Docker's texts. */
  take({ network, family, wished, endpointId }: AddressRequest): TakenAddress {
    const found = wished === undefined ? this.#lowestFree(network, family) : this.#wished(network, family, wished);
    const value = keyOf(found.ip);
    this.#store.run(
      "INSERT INTO addresses (network_id, value, endpoint_id) VALUES (?, ?, ?)",
      network.id,
      value,
      endpointId ?? null,
    );
    return found;
  }

  /** Marks the gateways and auxiliary addresses as taken. Idempotent. */
  reserve(network: NetworkRecord): void {
    this.#store.run("DELETE FROM addresses WHERE network_id = ? AND endpoint_id IS NULL", network.id);
    for (const { Gateway, AuxiliaryAddresses } of network.subnets) {
      for (const text of [Gateway, ...Object.values(AuxiliaryAddresses ?? {})]) {
        const ip = parseIp(text ?? "");
        if (ip === undefined) continue;
        this.#store.run("INSERT OR IGNORE INTO addresses (network_id, value) VALUES (?, ?)", network.id, keyOf(ip));
      }
    }
    this.released();
  }

  /** Must be called after rows of addresses were deleted, and after a transaction with `take` failed. */
  released(): void {
    this.#full.clear();
  }

  #wished(network: NetworkRecord, family: Family, text: string): TakenAddress {
    const ip = parseIp(text);
    const subnet = ip && network.subnets.map(readSubnet).find((one) => one !== undefined && contains(one.subnet, ip));
    if (ip === undefined || ip.family !== family || subnet === undefined)
      throw new EngineError("invalid", `invalid address ${text}: It does not belong to any of this network's subnets`);
    if (this.#isTaken(network.id, ip)) throw new EngineError("forbidden", "Address already in use");
    return { ip, subnet: subnet.subnet, gateway: subnet.gateway };
  }

  #lowestFree(network: NetworkRecord, family: Family): TakenAddress {
    for (const config of network.subnets) {
      const found = readSubnet(config);
      if (found === undefined || found.subnet.family !== family) continue;
      const value = this.#firstGap(network.id, found);
      if (value !== undefined) return { ip: { family, value }, subnet: found.subnet, gateway: found.gateway };
    }
    throw new EngineError(
      "internal",
      `no available IPv${family} addresses on this network's address pools: ${network.name} (${network.id})`,
    );
  }

  #firstGap(networkId: string, { subnet, range }: Subnet): bigint | undefined {
    const key = `${networkId}/${range.first}`;
    // The subnet's own address and, in IPv4, its broadcast address are nobody's.
    const spare = subnet.family === 4 && subnet.prefix < 31 ? 1n : 0n;
    const low = subnet.first + (subnet.family === 6 || spare === 1n ? 1n : 0n);
    let at = max(max(range.first, low), this.#full.get(key) ?? 0n);
    const end = min(range.last, subnet.last - spare);
    while (at <= end && this.#isTaken(networkId, { family: subnet.family, value: at })) at++;
    this.#full.set(key, at);
    return at <= end ? at : undefined;
  }

  #isTaken(networkId: string, ip: Ip): boolean {
    return (
      this.#store.get("SELECT 1 FROM addresses WHERE network_id = ? AND value = ?", networkId, keyOf(ip)) !== undefined
    );
  }
}

interface Subnet {
  readonly subnet: Cidr;
  /** Where addresses are taken from. */
  readonly range: Cidr;
  readonly gateway: Ip | undefined;
}

export function readSubnet({ Subnet, IPRange, Gateway }: IPAMConfig): Subnet | undefined {
  const subnet = parseCidr(Subnet ?? "");
  if (subnet === undefined) return undefined;
  return { subnet, range: parseCidr(IPRange ?? "") ?? subnet, gateway: parseIp(Gateway ?? "") };
}

function keyOf(ip: Ip): string {
  return ip.value.toString(16).padStart(HEX_DIGITS, "0");
}
