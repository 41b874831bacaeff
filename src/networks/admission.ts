/** Whether a container may join a network beside those that it is in. */
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { contains, parseCidr, parseIp } from "./addresses.ts";
import { refuseConfigOnly } from "./config-only.ts";
import { checkEndpointOptions } from "./endpoint-options.ts";
import type { NetworkRecord } from "./records.ts";

/** "invalid" with Docker's texts. */
export function checkAdmission(network: NetworkRecord, present: readonly NetworkRecord[]): void {
  if (network.driver === "host")
    throw new EngineError("invalid", "container cannot be disconnected from host network or connected to host network");
  for (const other of present) {
    if (other.driver === "host")
      throw new EngineError(
        "invalid",
        "container sharing network namespace with another container or host cannot be connected to any other network",
      );
    if (other.id !== network.id && (other.driver === "null" || network.driver === "null"))
      throw new EngineError(
        "invalid",
        "container cannot be connected to multiple networks with one of the networks in private (none) mode",
      );
  }
}

/** What can be said of the wishes without taking an address. "invalid" with Docker's texts. */
export function checkSettings(network: NetworkRecord, settings: EndpointSettings): void {
  const { IPv4Address = "", IPv6Address = "", LinkLocalIPs = [] } = settings.IPAMConfig ?? {};
  refuseConfigOnly(network);
  checkEndpointOptions(settings);
  if (network.predefined && (settings.Aliases?.length ?? 0) > 0)
    throw new EngineError("invalid", "network-scoped alias is supported only for containers in user defined networks");
  for (const [text, family] of [
    [IPv4Address, 4],
    [IPv6Address, 6],
  ] as const) {
    if (text === "") continue;
    if (network.predefined)
      throw new EngineError("invalid", "user specified IP address is supported on user defined networks only");
    const ip = parseIp(text);
    if (ip?.family !== family) throw new EngineError("invalid", `invalid IPv${family} address: ${text}`);
    if (!network.ownSubnets)
      throw new EngineError(
        "invalid",
        "user specified IP address is supported only when connecting to networks with user configured subnets",
      );
    const subnets = network.subnets.flatMap(({ Subnet }) => parseCidr(Subnet ?? "") ?? []);
    if (!subnets.some((subnet) => contains(subnet, ip)))
      throw new EngineError("invalid", `no configured subnet contains IP address ${text}`);
  }
  for (const text of LinkLocalIPs) checkLinkLocal(text);
}

const LINK_LOCAL = ["169.254.0.0/16", "fe80::/10"].flatMap((text) => parseCidr(text) ?? []);

function checkLinkLocal(text: string): void {
  const ip = parseIp(text);
  if (ip === undefined || !LINK_LOCAL.some((subnet) => contains(subnet, ip)))
    throw new EngineError("invalid", `invalid link-local IP address: ${text}`);
}
