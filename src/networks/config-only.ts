/** Networks that only configure others (`--config-only`), and those that take their configuration from one (`--config-from`). */
import type { NetworkCreateRequest } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { newId } from "../base/ids.ts";
import { parseCidr } from "./addresses.ts";
import type { NetworkRecord } from "./records.ts";

/** Of what is in no other network's way: it has no subnets of its own, no link, and no containers. */
export function configNetwork(request: NetworkCreateRequest): NetworkRecord {
  if (request.ConfigFrom?.Network)
    throw new EngineError("forbidden", "a configuration network cannot depend upon another configuration network");
  const subnets = request.IPAM?.Config ?? [];
  for (const { Subnet = "" } of subnets)
    if (Subnet !== "" && parseCidr(Subnet) === undefined)
      throw new EngineError("invalid", `invalid subnet ${Subnet}: invalid CIDR block notation`);
  return {
    id: newId(),
    name: request.Name ?? "",
    driver: "null",
    created: new Date().toISOString(),
    ipv4: request.EnableIPv4 ?? true,
    ipv6: request.EnableIPv6 ?? false,
    internal: request.Internal ?? false,
    attachable: request.Attachable ?? false,
    subnets,
    ownSubnets: false,
    ipamDriver: request.IPAM?.Driver || "default",
    ipamOptions: request.IPAM?.Options ?? {},
    options: request.Options ?? {},
    labels: request.Labels ?? {},
    link: "",
    adopt: false,
    predefined: false,
    configOnly: true,
  };
}

/** The request with what the other network says. "not-found" when there is none such, "forbidden" for what both would say. */
export function configured(
  request: NetworkCreateRequest,
  find: (name: string) => NetworkRecord | undefined,
): NetworkCreateRequest {
  const { ConfigFrom, IPAM, Options = {} } = request;
  if (!ConfigFrom?.Network) return request;
  const source = find(ConfigFrom.Network);
  if (source?.configOnly !== true)
    throw new EngineError("not-found", `configuration network "${ConfigFrom.Network}" does not exist`, {
      hint: "make it with --config-only",
    });
  const own = IPAM?.Driver !== undefined && !["", "default"].includes(IPAM.Driver);
  if (own || (IPAM?.Config ?? []).length > 0 || Object.keys(IPAM?.Options ?? {}).length > 0)
    throw new EngineError(
      "forbidden",
      "user specified configurations are not supported if the network depends on a configuration network",
    );
  if (Object.keys(Options).length > 0)
    throw new EngineError(
      "forbidden",
      "network driver options are not supported if the network depends on a configuration network",
    );
  return {
    ...request,
    ConfigFrom: { Network: source.name },
    EnableIPv4: source.ipv4,
    EnableIPv6: source.ipv6,
    IPAM: { Driver: source.ipamDriver, Options: { ...source.ipamOptions }, Config: [...source.subnets] },
    Options: { ...source.options },
    Labels: { ...source.labels, ...request.Labels },
  };
}

/** "forbidden" for a network without a driver that could. */
export function refuseConfigOnly({ name, configOnly }: NetworkRecord): void {
  if (configOnly === true)
    throw new EngineError("forbidden", `network ${name} is a configuration-only network: no container can be in it`, {
      hint: `make one of it: network create --config-from ${name} NAME`,
    });
}
