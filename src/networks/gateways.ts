/** Which of a sandbox's endpoints gives the way out, and takes the published ports. */

import type { RouteSocket } from "../kernel/netlink.ts";
import { deleteDefaultRoute, setDefaultRoute } from "../kernel/netlink-addresses.ts";
import { type Family, ipBytes, parseIp } from "./addresses.ts";
import type { EndpointRecord } from "./records.ts";

export type Gateways = Readonly<Record<Family, EndpointRecord | undefined>>;

export const FAMILIES = [4, 6] as const;

/** Of each family the endpoint with a gateway whose priority is highest, and of those the network whose name comes first; as Docker decides. */
export function chooseGateways(endpoints: readonly EndpointRecord[]): Gateways {
  const sorted = [...endpoints].sort(
    (a, b) => (b.settings.GwPriority ?? 0) - (a.settings.GwPriority ?? 0) || (a.networkName < b.networkName ? -1 : 1),
  );
  const first = (family: Family) => sorted.find((endpoint) => gatewayOf(endpoint, family) !== "");
  return { 4: first(4), 6: first(6) };
}

export function gatewayOf({ settings }: EndpointRecord, family: Family): string {
  return (family === 4 ? settings.Gateway : settings.IPv6Gateway) ?? "";
}

/** The default routes that go through this endpoint. */
export function gatewaysThrough(endpoint: EndpointRecord, gateways: Gateways): string[] {
  return FAMILIES.filter((family) => gateways[family]?.id === endpoint.id).map((family) => gatewayOf(endpoint, family));
}

/** The sandbox's default routes are those of `after`; only what differs from `before` is touched. */
export function changeRoutes(inside: RouteSocket, before: Gateways, after: Gateways): void {
  for (const family of FAMILIES) {
    const endpoint = after[family];
    if (endpoint?.id === before[family]?.id) continue;
    const ip = endpoint === undefined ? undefined : parseIp(gatewayOf(endpoint, family));
    const link = endpoint === undefined ? undefined : inside.link(endpoint.interface)?.index;
    if (ip !== undefined && link !== undefined) inside.run(setDefaultRoute(link, ipBytes(ip)));
    else inside.run(deleteDefaultRoute(family));
  }
}
