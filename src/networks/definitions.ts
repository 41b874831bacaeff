/** What networks are: the predefined ones out of the daemon's settings, the others out of requests. No kernel here but what it is told. */
import type { IPAMConfig, NetworkCreateRequest } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { type Cidr, contains, formatCidr, formatIp, overlaps, parseCidr, parseIp } from "./addresses.ts";
import { GATEWAY_KEY } from "./assign.ts";
import { OPTION } from "./bridge-options.ts";
import { gatewayMode } from "./gateway-mode.ts";
import type { NetworkSettings } from "./networks.ts";
import { DEFAULT_POOLS, firstAddress, freeSubnet, localIpv6Subnet } from "./pools.ts";
import type { NetworkConfig, NetworkRecord } from "./records.ts";
import type { RequestedPools } from "./remote-ipam.ts";

const NOTHING: NetworkConfig = {
  ipv4: true,
  ipv6: false,
  internal: false,
  attachable: false,
  subnets: [],
  ownSubnets: false,
  ipamDriver: "default",
  ipamOptions: undefined,
  options: {},
  labels: {},
  link: "",
  adopt: false,
  predefined: true,
};

/** "host" and "none". */
export function plainNetwork(name: string, driver: string): NetworkRecord {
  return { id: newId(), name, driver, created: new Date().toISOString(), ...NOTHING };
}

export interface DefaultBridge {
  readonly id: string;
  readonly created: string;
  readonly link: string;
  readonly settings: NetworkSettings;
  /** The subnets that the bridge has already or had before; used when the settings name none. */
  readonly present: readonly IPAMConfig[];
  readonly taken: readonly Cidr[];
}

/** The network "bridge". */
export function defaultBridge(wish: DefaultBridge): NetworkRecord {
  const { id, created, link, settings } = wish;
  const subnets = [ipv4Subnet(wish), ...(settings.ipv6 ? [ipv6Subnet(wish)] : [])];
  const options = {
    [OPTION.defaultBridge]: "true",
    [OPTION.icc]: String(settings.icc),
    [OPTION.masquerade]: String(settings.ipMasq),
    [OPTION.hostIp]: settings.ip,
    [OPTION.name]: link,
    [OPTION.mtu]: String(settings.mtu),
  };
  return {
    id,
    name: "bridge",
    driver: "bridge",
    created,
    ...NOTHING,
    ipv6: settings.ipv6,
    subnets,
    options,
    link,
    adopt: settings.bridge !== undefined,
  };
}

function ipv4Subnet({ settings, present, taken }: DefaultBridge): IPAMConfig {
  const { bip, fixedCidr, defaultGateway } = settings;
  const given = bip === undefined ? undefined : addressOnSubnet(bip, "bip");
  const old = present.find(({ Subnet }) => parseCidr(Subnet ?? "")?.family === 4);
  const base =
    given ??
    (old?.Subnet === undefined
      ? chosenSubnet(settings, taken, fixedCidr)
      : { Subnet: old.Subnet, Gateway: old.Gateway });
  return narrowed(base, fixedCidr, defaultGateway, 4);
}

function ipv6Subnet({ id, settings, present }: DefaultBridge): IPAMConfig {
  const { bip6, fixedCidr6, defaultGateway6 } = settings;
  const given = bip6 === undefined ? undefined : addressOnSubnet(bip6, "bip6");
  const old = present.find(({ Subnet }) => parseCidr(Subnet ?? "")?.family === 6);
  const fixed = fixedCidr6 === undefined ? undefined : parseCidr(fixedCidr6);
  const subnet = fixed ?? parseCidr(old?.Subnet ?? "") ?? localIpv6Subnet(id);
  return narrowed(
    given ?? { Subnet: formatCidr(subnet), Gateway: firstAddress(subnet) },
    fixedCidr6,
    defaultGateway6,
    6,
  );
}

function addressOnSubnet(text: string, setting: string): IPAMConfig {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new EngineError("invalid", `invalid CIDR address for ${setting}: ${text}`);
  return { Subnet: formatCidr(cidr), Gateway: formatIp({ family: cidr.family, value: cidr.ip }) };
}

function chosenSubnet(settings: NetworkSettings, taken: readonly Cidr[], fixedCidr: string | undefined): IPAMConfig {
  const fixed = fixedCidr === undefined ? undefined : parseCidr(fixedCidr);
  const subnet = fixed ?? poolSubnet(settings, taken);
  return { Subnet: formatCidr(subnet), Gateway: firstAddress(subnet) };
}

function poolSubnet({ defaultAddressPools }: NetworkSettings, taken: readonly Cidr[]): Cidr {
  const pools = defaultAddressPools.some(({ base }) => !base.includes(":")) ? defaultAddressPools : DEFAULT_POOLS;
  return freeSubnet(pools, 4, taken) ?? fullySubnetted();
}

/** Of the daemon's IPv6 pools where it has any, else a unique local one that follows from the id. */
function poolSubnet6({ defaultAddressPools }: NetworkSettings, taken: readonly Cidr[], id: string): Cidr {
  if (!defaultAddressPools.some(({ base }) => base.includes(":"))) return localIpv6Subnet(id);
  return freeSubnet(defaultAddressPools, 6, taken) ?? fullySubnetted();
}

function fullySubnetted(): never {
  throw new EngineError("invalid", "all predefined address pools have been fully subnetted", {
    hint: "give the network a subnet of its own, or the daemon more pools with --default-address-pool",
  });
}

function narrowed(base: IPAMConfig, range: string | undefined, gateway: string | undefined, family: 4 | 6): IPAMConfig {
  const subnet = parseCidr(base.Subnet ?? "");
  const fixed = range === undefined ? undefined : parseCidr(range);
  if (range !== undefined && (fixed === undefined || subnet === undefined || !overlaps(subnet, fixed)))
    throw new EngineError("invalid", `the fixed CIDR ${range} is no part of the bridge's subnet ${base.Subnet}`);
  const router = gateway === undefined ? undefined : parseIp(gateway);
  if (gateway !== undefined && (router === undefined || subnet === undefined || !contains(subnet, router)))
    throw new EngineError("invalid", `the default gateway ${gateway} is no part of the bridge's subnet ${base.Subnet}`);
  return {
    ...base,
    ...(fixed === undefined || fixed.prefix === subnet?.prefix ? {} : { IPRange: formatCidr(fixed) }),
    ...(gateway === undefined ? {} : { AuxiliaryAddresses: { [GATEWAY_KEY[family]]: gateway } }),
  };
}

export interface UserNetwork {
  readonly request: NetworkCreateRequest;
  /** The host's link of a network with that id and these options. */
  readonly linkOf: (id: string, options: Readonly<Record<string, string>>) => string;
  /** What an IPAM plug-in gave. */
  readonly requested?: RequestedPools | undefined;
  readonly settings: NetworkSettings;
  /** Subnets of the host and of other networks. */
  readonly taken: readonly Cidr[];
  /** Subnets of other networks alone: what a named subnet must not overlap. */
  readonly owned: readonly Cidr[];
}

/** A network as requested, every subnet with its gateway. "invalid" or "forbidden" with Docker's texts. */
export function userNetwork({ request, requested, linkOf, settings, taken, owned }: UserNetwork): NetworkRecord {
  const id = newId();
  const [ipv4, ipv6] = [request.EnableIPv4 ?? true, request.EnableIPv6 ?? false];
  if (!ipv4 && !ipv6) throw new EngineError("invalid", "IPv4 or IPv6 must be enabled");
  const none = request.IPAM?.Driver === "null";
  const named = (requested?.config ?? request.IPAM?.Config ?? [])
    .filter(({ Subnet = "" }) => Subnet !== "")
    .map((config) => checked(config, owned));
  const has = (family: 4 | 6) => named.some(({ Subnet }) => parseCidr(Subnet ?? "")?.family === family);
  const chosen: IPAMConfig[] = [];
  if (ipv4 && !has(4) && !none) chosen.push(withGateway(poolSubnet(settings, taken)));
  if (ipv6 && !has(6) && !none) chosen.push(withGateway(poolSubnet6(settings, taken, id)));
  const options = request.Options ?? {};
  // Nobody of the host is on an isolated bridge.
  const subnets = [...named, ...chosen].map((config) => {
    const family = parseCidr(config.Subnet ?? "")?.family ?? 4;
    const wished = request.IPAM?.Config?.some(({ Gateway, Subnet }) => Gateway && Subnet === config.Subnet);
    return gatewayMode({ options }, family) === "isolated" && !wished ? { ...config, Gateway: undefined } : config;
  });
  return {
    id,
    name: request.Name ?? "",
    driver: request.Driver || "bridge",
    created: new Date().toISOString(),
    ipv4,
    ipv6,
    internal: request.Internal ?? false,
    attachable: request.Attachable ?? false,
    subnets,
    ownSubnets: named.length > 0,
    ipamDriver: request.IPAM?.Driver || "default",
    ipamOptions: request.IPAM?.Options ?? {},
    pools: requested?.pools,
    options,
    labels: request.Labels ?? {},
    link: linkOf(id, options),
    adopt: OPTION.name in options,
    predefined: false,
    configFrom: request.ConfigFrom?.Network || undefined,
  };
}

function withGateway(subnet: Cidr): IPAMConfig {
  return { Subnet: formatCidr(subnet), Gateway: firstAddress(subnet) };
}

function checked({ Subnet, IPRange, Gateway, AuxiliaryAddresses }: IPAMConfig, owned: readonly Cidr[]): IPAMConfig {
  const subnet = parseCidr(Subnet ?? "");
  if (subnet === undefined) throw new EngineError("invalid", `invalid subnet ${Subnet}: invalid CIDR block notation`);
  if (owned.some((other) => overlaps(other, subnet)))
    throw new EngineError("forbidden", "invalid pool request: Pool overlaps with other one on this address space");
  const range = IPRange ? parseCidr(IPRange) : undefined;
  if (IPRange && (range === undefined || !contains(subnet, { family: range.family, value: range.first })))
    throw new EngineError("invalid", `invalid ip-range ${IPRange}: it should be within the subnet ${Subnet}`);
  const gateway = Gateway ? parseIp(Gateway) : undefined;
  if (Gateway && (gateway === undefined || !contains(subnet, gateway)))
    throw new EngineError("invalid", `invalid gateway ${Gateway}: it should be within the subnet ${Subnet}`);
  return {
    Subnet: formatCidr(subnet),
    ...(range === undefined ? {} : { IPRange: formatCidr(range) }),
    Gateway: gateway === undefined ? firstAddress(range ?? subnet) : formatIp(gateway),
    ...(AuxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses }),
  };
}
