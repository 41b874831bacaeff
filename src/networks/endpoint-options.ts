/** What `--driver-opt` says of one endpoint. */

import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { OPTION as NETWORK_OPTION } from "./bridge-options.ts";
import type { EndpointRecord, NetworkRecord } from "./records.ts";

/** Docker's names. */
const OPTION = {
  name: "com.docker.network.endpoint.ifname",
  sysctls: "com.docker.network.endpoint.sysctls",
} as const;

const INTERFACE_NAME = /^[^\s/:%]{1,15}$/;
const SYSCTL = /^net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.IFNAME\.([a-z0-9_]+)=([^=,\s]+)$/;

/** The name of a new interface: the wished one, or the first free one of the network's prefix. "conflict" when the wished one is taken. */
export function newInterfaceName(
  { DriverOpts }: EndpointSettings,
  network: Pick<NetworkRecord, "options">,
  present: readonly Pick<EndpointRecord, "interface">[],
): string {
  const taken = new Set(present.map((endpoint) => endpoint.interface));
  const wished = DriverOpts?.[OPTION.name];
  if (wished !== undefined && taken.has(wished))
    throw new EngineError("conflict", `the container has an interface ${wished} already`);
  if (wished) return wished;
  const prefix = network.options[NETWORK_OPTION.interfacePrefix] || "eth";
  for (let number = 0; ; number++) if (!taken.has(`${prefix}${number}`)) return `${prefix}${number}`;
}

/** The kernel parameters of the interface: "net/ipv4/conf/eth0/log_martians" → "1". */
export function interfaceSysctls(
  endpoint: Pick<EndpointRecord, "settings" | "interface">,
): [name: string, value: string][] {
  const text = endpoint.settings.DriverOpts?.[OPTION.sysctls] ?? "";
  return text
    .split(",")
    .filter((one) => one !== "")
    .map((one) => {
      const [, family, kind, key, value = ""] = SYSCTL.exec(one) ?? [];
      return [`net/${family}/${kind}/${endpoint.interface}/${key}`, value];
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
