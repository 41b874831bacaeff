/** The networks that are always there: "bridge", "host" and "none". */
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { formatCidr, formatIp, makeCidr } from "./addresses.ts";
import { addressesOf, ensureBridge } from "./bridges.ts";
import { defaultBridge, plainNetwork } from "./definitions.ts";
import { defaultBridgeNames, NO_BRIDGE } from "./names.ts";
import { hasRival, hostSubnets, networkSubnets, type Parts } from "./parts.ts";
import type { NetworkRecord } from "./records.ts";

/** Makes the rows that are missing and gives the default bridge what the settings say now. Ids never change. */
export function definePredefined(parts: Parts): void {
  const { records, settings } = parts;
  for (const [name, driver] of [
    ["host", "host"],
    ["none", "null"],
  ] as const)
    if (records.networkByName(name) === undefined) records.putNetwork(plainNetwork(name, driver));
  const existing = records.networkByName("bridge");
  if (settings.bridge !== NO_BRIDGE) defineBridge(parts, existing);
  else if (existing !== undefined && records.endpointsOfNetwork(existing.id).length === 0)
    records.deleteNetwork(existing.id);
}

function defineBridge(parts: Parts, existing: NetworkRecord | undefined): NetworkRecord {
  const { records, ipam } = parts;
  const network = currentBridge(parts, existing);
  records.transaction(() => {
    records.putNetwork(network);
    ipam.reserve(network);
  });
  return network;
}

function currentBridge(parts: Parts, existing: NetworkRecord | undefined): NetworkRecord {
  const { records, settings, host, names } = parts;
  const link = settings.bridge ?? freeName(parts, existing?.link);
  const found = host.link(link);
  // A bridge that the user made says itself what its subnet is.
  const theirs = found === undefined || found.alias === names.alias ? [] : addressesOf(host, found).map(asConfig);
  const others = records.networks().filter(({ id }) => id !== existing?.id);
  const moves = existing !== undefined && mustMove(parts, existing);
  return defaultBridge({
    id: existing?.id ?? newId(),
    created: existing?.created ?? new Date().toISOString(),
    link,
    settings,
    present: theirs.length > 0 ? theirs : moves ? [] : (existing?.subnets ?? []),
    taken: [...hostSubnets(host, { except: link }), ...networkSubnets(others)],
  });
}

function freeName({ host, names }: Parts, old: string | undefined): string {
  const free = (name: string) => [undefined, names.alias].includes(host.link(name)?.alias);
  if (old !== undefined && free(old)) return old;
  for (const name of defaultBridgeNames()) if (free(name)) return name;
  throw new EngineError("unavailable", "every name for a default bridge is taken", {
    hint: "choose one with --bridge",
  });
}

function asConfig({ ip, prefix }: ReturnType<typeof addressesOf>[number]) {
  return { Subnet: formatCidr(makeCidr(ip, prefix)), Gateway: formatIp(ip) };
}

/** Whether the bridge must look for another subnet: the host uses this one elsewhere, and no container has an address of it. */
function mustMove({ host, records, settings }: Parts, network: NetworkRecord): boolean {
  if (settings.bip !== undefined || settings.bridge !== undefined) return false;
  return records.endpointsOfNetwork(network.id).length === 0 && hasRival(host, network);
}

const TRIES = 10;

/**
 * The default bridge is in the kernel, ours, on a subnet that nobody else has; answers whether it had to change for that. Call it again
 * a moment later: of two engines that start at once one may see the other then only.
 */
export function claimBridge(parts: Parts): boolean {
  const { records, host, names, settings, logger } = parts;
  for (let tries = 0; tries < TRIES; tries++) {
    const network = records.networkByName("bridge");
    if (network === undefined) return tries > 0;
    try {
      ensureBridge(host, network, names);
      if (!mustMove(parts, network)) return tries > 0;
    } catch (error) {
      if (settings.bridge !== undefined) throw error;
      logger.log("debug", "the default bridge's name was taken", { link: network.link });
    }
    defineBridge(parts, network);
  }
  return true;
}
