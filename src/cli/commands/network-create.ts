/** `gantry network create`. */
import type { IPAMConfig } from "../../api/types/network.ts";
import { type Command, ONE_ARGUMENT } from "../command.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { label } from "../run/checks.ts";
import { keyValues } from "../run/env.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK",
  flags: [
    { name: "attachable", type: "bool", help: "Let containers be attached by hand" },
    { name: "aux-address", type: "map", help: "Further addresses that the driver uses" },
    { name: "config-from", type: "string", help: "Take the configuration from this network" },
    { name: "config-only", type: "bool", help: "Make a network that only configures others" },
    { name: "driver", short: "d", type: "string", help: "Driver of the network", default: "bridge" },
    { name: "gateway", type: "strings", help: "Gateway of the subnet" },
    { name: "ingress", type: "bool", help: "Make the swarm's routing mesh", hidden: true },
    { name: "internal", type: "bool", help: "No way out" },
    { name: "ip-range", type: "strings", help: "Give containers addresses of this range" },
    { name: "ipam-driver", type: "string", help: "Driver of the addresses", default: "default" },
    { name: "ipam-opt", type: "map", help: "Options of the address driver" },
    { name: "ipv4", type: "bool", help: "Give IPv4 addresses", default: "true" },
    { name: "ipv6", type: "bool", help: "Give IPv6 addresses" },
    { name: "label", type: "list", help: "Set a label", check: label },
    { name: "opt", short: "o", type: "map", help: "Options of the driver" },
    { name: "scope", type: "string", help: "Scope of the network" },
    { name: "subnet", type: "strings", help: "Subnet in CIDR form" },
  ],
  arguments: ONE_ARGUMENT,
  run: async (context, flags) => {
    const [name = ""] = flags.positional;
    const from = flags.text("config-from");
    const { Id = "", Warning } = await context.client.networks.create({
      Name: name,
      Driver: flags.text("driver"),
      Options: { ...flags.map("opt") },
      IPAM: { Driver: flags.text("ipam-driver"), Config: addresses(flags), Options: { ...flags.map("ipam-opt") } },
      Internal: flags.bool("internal"),
      Attachable: flags.bool("attachable"),
      Ingress: flags.bool("ingress"),
      Scope: flags.text("scope"),
      ConfigOnly: flags.bool("config-only"),
      ...(from === "" ? {} : { ConfigFrom: { Network: from } }),
      ...(flags.changed("ipv4") ? { EnableIPv4: flags.bool("ipv4") } : {}),
      ...(flags.changed("ipv6") ? { EnableIPv6: flags.bool("ipv6") } : {}),
      Labels: keyValues(flags.list("label")),
    });
    if (Warning) context.err.write(`WARNING: ${Warning}\n`);
    context.out.write(`${Id}\n`);
    return 0;
  },
};

/** Gateways, ranges and further addresses go to the subnet that has them; the daemon checks the rest. */
function addresses(flags: ParsedFlags): IPAMConfig[] {
  const subnets = flags.list("subnet");
  const [gateways, ranges] = [flags.list("gateway"), flags.list("ip-range")];
  if (subnets.length === 0 && gateways.length + ranges.length > 0)
    throw new Error("every ip-range or gateway must have a corresponding subnet");
  const auxiliary = Object.entries(flags.map("aux-address"));
  return subnets.map((subnet) => {
    const own = (address: string) => subnets.length === 1 || contains(subnet, address);
    const further = auxiliary.filter(([, address]) => own(address));
    const gateway = gateways.find(own);
    const range = ranges.find((one) => own(one.split("/")[0] ?? ""));
    return {
      Subnet: subnet,
      ...(gateway === undefined ? {} : { Gateway: gateway }),
      ...(range === undefined ? {} : { IPRange: range }),
      ...(further.length === 0 ? {} : { AuxiliaryAddresses: Object.fromEntries(further) }),
    };
  });
}

function contains(subnet: string, address: string): boolean {
  const { BlockList } = process.getBuiltinModule("node:net");
  const [base = "", prefix = ""] = subnet.split("/");
  const family = base.includes(":") ? "ipv6" : "ipv4";
  if (address.includes(":") !== base.includes(":")) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(prefix), family);
  return list.check(address, family);
}
