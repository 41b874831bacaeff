/** Where a sandbox's published ports lead: to the endpoint that has its gateway, if that is on a bridge of ours. */
import type { Family } from "./addresses.ts";
import { gatewayMode } from "./gateway-mode.ts";
import { chooseGateways, FAMILIES } from "./gateways.ts";
import type { Parts } from "./parts.ts";
import type { Target, Targets } from "./ports.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";

export interface Ways {
  /** By the host address's family: where its ports lead. */
  readonly bound: Targets;
  /** By the container address's family: where ports are open at the container's own address. */
  readonly open: Targets;
  /** The network of the first of them. */
  readonly network: NetworkRecord | undefined;
}

export function waysOf(
  { records, settings }: Pick<Parts, "records" | "settings">,
  endpoints: readonly EndpointRecord[],
): Ways {
  const gateways = chooseGateways(endpoints);
  const bridged = (family: Family) => {
    const network = records.network(gateways[family]?.networkId ?? "");
    return network?.driver === "bridge" ? network : undefined;
  };
  const isRouted = (family: Family) => {
    const network = bridged(family);
    return network !== undefined && gatewayMode(network, family) === "routed";
  };
  const own = (family: Family) => (bridged(family) === undefined ? undefined : targetOf(gateways[family], family));
  const translated = (family: Family) => (isRouted(family) ? undefined : own(family));
  const bound = (family: Family): Target | undefined => {
    if (translated(family) !== undefined || isRouted(family) || !settings.userlandProxy) return translated(family);
    return translated(family === 4 ? 6 : 4);
  };
  const open = (family: Family) => (isRouted(family) || settings.allowDirectRouting ? own(family) : undefined);
  return {
    bound: { 4: bound(4), 6: bound(6) },
    open: { 4: open(4), 6: open(6) },
    network: FAMILIES.map(bridged).find((network) => network !== undefined),
  };
}

function targetOf(endpoint: EndpointRecord | undefined, family: Family): Target | undefined {
  const ip = (family === 4 ? endpoint?.settings.IPAddress : endpoint?.settings.GlobalIPv6Address) ?? "";
  return endpoint === undefined || ip === "" ? undefined : { endpointId: endpoint.id, ip };
}
