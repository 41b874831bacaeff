/** `gantry network connect`. */
import type { Command } from "../command.ts";
import { ipAddress } from "../run/checks.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: [
    { name: "alias", type: "strings", help: "Further name of the container on the network" },
    { name: "driver-opt", type: "map", help: "Options of the network's driver" },
    { name: "gw-priority", type: "int", help: "The network with the highest one gives the default gateway" },
    { name: "ip", type: "string", help: "IPv4 address (172.30.100.104)" },
    { name: "ip6", type: "string", help: "IPv6 address (2001:db8::33)" },
    { name: "link", type: "list", help: "Link to another container" },
    { name: "link-local-ip", type: "list", help: "Link-local address of the container", check: ipAddress },
  ],
  arguments: { min: 2, max: 2 },
  complete: "networks",
  run: async (context, flags) => {
    const [network = "", container = ""] = flags.positional;
    const [ip, ip6, local] = [flags.text("ip"), flags.text("ip6"), flags.list("link-local-ip")];
    await context.client.networks.connect(network, container, {
      IPAMConfig: {
        ...(ip === "" ? {} : { IPv4Address: ip }),
        ...(ip6 === "" ? {} : { IPv6Address: ip6 }),
        ...(local.length === 0 ? {} : { LinkLocalIPs: [...local] }),
      },
      Links: [...flags.list("link")],
      Aliases: [...flags.list("alias")],
      DriverOpts: { ...flags.map("driver-opt") },
      ...(flags.changed("gw-priority") ? { GwPriority: flags.number("gw-priority") } : {}),
    });
    return 0;
  },
};
