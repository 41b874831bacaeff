/** The options of bridge networks: Docker's names, and what they may say. */
import { EngineError } from "../base/errors.ts";
import { parseIp } from "./addresses.ts";
import type { NetworkRecord } from "./records.ts";

export const OPTION = {
  name: "com.docker.network.bridge.name",
  icc: "com.docker.network.bridge.enable_icc",
  masquerade: "com.docker.network.bridge.enable_ip_masquerade",
  hostIp: "com.docker.network.bridge.host_binding_ipv4",
  mtu: "com.docker.network.driver.mtu",
  defaultBridge: "com.docker.network.bridge.default_bridge",
  hostIpv4: "com.docker.network.host_ipv4",
  hostIpv6: "com.docker.network.host_ipv6",
  inhibitIpv4: "com.docker.network.bridge.inhibit_ipv4",
  trusted: "com.docker.network.bridge.trusted_host_interfaces",
  interfacePrefix: "com.docker.network.container_iface_prefix",
} as const;

const DEFAULT_MTU = 1500;
const LINK_NAME = /^[^\s/:"]{1,15}$/;
const TRUE = /^(?:1|t|T|true|True|TRUE)$/;
const FALSE = /^(?:0|f|F|false|False|FALSE)$/;

export function mtuOf({ options }: Pick<NetworkRecord, "options">): number {
  return Number(options[OPTION.mtu] ?? DEFAULT_MTU) || DEFAULT_MTU;
}

/** A boolean option, as Go's ParseBool reads it; true when absent. */
export function isOn({ options }: Pick<NetworkRecord, "options">, option: string): boolean {
  return !FALSE.test(options[option] ?? "true");
}

/** Links of the host from which all ports of the network's containers may be reached: "eth0:eth1". */
export function trustedLinks({ options }: Pick<NetworkRecord, "options">): string[] {
  return (options[OPTION.trusted] ?? "").split(":").filter((name) => LINK_NAME.test(name));
}

type Check = (value: string) => boolean;

const isBoolean: Check = (value) => TRUE.test(value) || FALSE.test(value);
const isLinkName: Check = (value) => LINK_NAME.test(value) && value !== "." && value !== "..";
const isIp =
  (family: 4 | 6): Check =>
  (value) =>
    parseIp(value)?.family === family;

const CHECKS: Readonly<Record<string, Check>> = {
  [OPTION.name]: isLinkName,
  [OPTION.icc]: isBoolean,
  [OPTION.masquerade]: isBoolean,
  [OPTION.inhibitIpv4]: isBoolean,
  [OPTION.hostIp]: (value) => parseIp(value) !== undefined,
  [OPTION.mtu]: (value) => /^\d{1,5}$/.test(value) && Number(value) <= 65_535,
  [OPTION.hostIpv4]: isIp(4),
  [OPTION.hostIpv6]: isIp(6),
  [OPTION.trusted]: (value) => value.split(":").every(isLinkName),
  [OPTION.interfacePrefix]: (value) => LINK_NAME.test(value) && value.length <= 12,
};

/** "invalid" for an option that says what it cannot say. Options that nobody knows are kept and mean nothing. */
export function checkBridgeOptions(options: Readonly<Record<string, string>>): void {
  for (const [option, check] of Object.entries(CHECKS)) {
    const value = options[option];
    if (value !== undefined && value !== "" && !check(value))
      throw new EngineError("invalid", `invalid value for the network option ${option}: ${JSON.stringify(value)}`);
  }
}
