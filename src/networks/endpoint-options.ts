/** What `--driver-opt` says of one endpoint. */

import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import type { EndpointRecord } from "./records.ts";

/** Docker's names. */
const OPTION = {
  name: "com.docker.network.endpoint.ifname",
  sysctls: "com.docker.network.endpoint.sysctls",
} as const;

const INTERFACE_NAME = /^[^\s/:%]{1,15}$/;
const SYSCTL = /^net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.IFNAME\.([a-z0-9_]+)=([^=,\s]+)$/;

/** The name of the endpoint's interface inside its container. */
export function interfaceName({ settings, position }: Pick<EndpointRecord, "settings" | "position">): string {
  return settings.DriverOpts?.[OPTION.name] || `eth${position}`;
}

/** The kernel parameters of the interface: "net/ipv4/conf/eth0/log_martians" → "1". */
export function interfaceSysctls(
  endpoint: Pick<EndpointRecord, "settings" | "position">,
): [name: string, value: string][] {
  const text = endpoint.settings.DriverOpts?.[OPTION.sysctls] ?? "";
  return text
    .split(",")
    .filter((one) => one !== "")
    .map((one) => {
      const [, family, kind, key, value = ""] = SYSCTL.exec(one) ?? [];
      return [`net/${family}/${kind}/${interfaceName(endpoint)}/${key}`, value];
    });
}

/** "invalid" for an interface's name that the kernel would not take, and for parameters that are none of an interface. */
export function checkEndpointOptions({ DriverOpts }: EndpointSettings): void {
  const name = DriverOpts?.[OPTION.name];
  if (name !== undefined && (!INTERFACE_NAME.test(name) || name === "lo" || name === "." || name === ".."))
    throw new EngineError("invalid", `invalid interface name for ${OPTION.name}: ${JSON.stringify(name)}`, {
      hint: "at most 15 characters, without spaces, slashes and colons",
    });
  for (const one of (DriverOpts?.[OPTION.sysctls] ?? "").split(","))
    if (one !== "" && !SYSCTL.test(one))
      throw new EngineError("invalid", `invalid endpoint sysctl: ${JSON.stringify(one)}`, {
        hint: "write it as net.ipv4.conf.IFNAME.log_martians=1",
      });
}
