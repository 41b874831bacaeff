/** Networks that a plug-in makes: Docker's remote driver protocol. It makes links in the host's namespace; we move them into sandboxes. */
import { closeSync, openSync } from "node:fs";
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import { moveLink, type RouteSocket } from "../kernel/netlink.ts";
import { addRoute } from "../kernel/netlink-addresses.ts";
import type { Plugin } from "../plugins/plugins.ts";
import { formatIp, ipBytes, macBytes, parseCidr, parseIp } from "./addresses.ts";
import { mtuOf, OPTION } from "./bridge-options.ts";
import type { Driver, EndpointPlace, JoinRequest } from "./driver.ts";
import type { DriverParts } from "./drivers.ts";
import { configure, renameLink } from "./interfaces.ts";
import { insideOf } from "./namespaces.ts";
import type { NetworkRecord, SandboxConfig } from "./records.ts";

const PROTOCOL_NUMBER: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };
/** Keys of the options that libnetwork sends. */
const LABEL = {
  generic: "com.docker.network.generic",
  ipv4: "com.docker.network.enable_ipv4",
  ipv6: "com.docker.network.enable_ipv6",
  internal: "com.docker.network.internal",
  exposed: "com.docker.network.endpoint.exposedports",
  portMap: "com.docker.network.portmap",
  mac: "com.docker.network.endpoint.macaddress",
} as const;

/** A container that has ended does not wait for a plug-in as one does that is to start. */
const GOODBYE = { timeoutMs: 5000 };

interface CreateEndpointAnswer {
  readonly Interface?: {
    readonly Address?: string;
    readonly AddressIPv6?: string;
    readonly MacAddress?: string;
  } | null;
}

interface JoinAnswer {
  readonly InterfaceName?: { readonly SrcName?: string; readonly DstName?: string; readonly DstPrefix?: string } | null;
  readonly Gateway?: string;
  readonly GatewayIPv6?: string;
  readonly StaticRoutes?:
    | readonly { readonly Destination?: string; readonly RouteType?: number; readonly NextHop?: string }[]
    | null;
}

export function remoteDriver(name: string, { host, plugins, logger }: DriverParts): Driver {
  const plugin = () => plugins.get(name, "NetworkDriver");
  /** By endpoint: what Join said, until the link is moved. */
  const joins = new Map<string, JoinAnswer>();
  return {
    ownNetns: true,
    wired: true,
    paired: false,
    many: true,
    check: () => {},
    linkOf: () => "",
    async create(network) {
      const driver = await plugin();
      await checkScope(driver);
      await driver.call("NetworkDriver.CreateNetwork", {
        NetworkID: network.id,
        Options: {
          [LABEL.generic]: network.options,
          [LABEL.ipv4]: network.ipv4,
          [LABEL.ipv6]: network.ipv6,
          ...(network.internal ? { [LABEL.internal]: true } : {}),
        },
        IPv4Data: ipamData(network, 4),
        IPv6Data: ipamData(network, 6),
      });
    },
    ensure: () => {},
    async remove({ id }) {
      const driver = await plugin();
      await driver.call("NetworkDriver.DeleteNetwork", { NetworkID: id }).catch((error) => {
        if (errorKind(error) !== "internal") throw error;
        logger.log("warn", "a network plug-in did not delete its network", {
          plugin: name,
          error: errorMessage(error),
        });
      });
    },
    async prepare(place) {
      const driver = await plugin();
      const made = await createEndpoint(driver, place);
      const joined = await driver.call<JoinAnswer>("NetworkDriver.Join", {
        ...idsOf(place),
        SandboxKey: place.netns,
        Options: optionsOf(place),
      });
      const { SrcName = "", DstPrefix, DstName } = joined.InterfaceName ?? {};
      if (SrcName === "")
        throw new EngineError("internal", `the plugin ${name} named no interface for the endpoint`, {
          hint: "NetworkDriver.Join must answer with InterfaceName.SrcName",
        });
      joins.set(place.endpoint.id, joined);
      const settings = { ...made, ...gatewaysOf(place.network, joined) };
      return { settings, hostLink: SrcName, interfacePrefix: DstPrefix || DstName || undefined };
    },
    async join(request) {
      const joined = joins.get(request.endpoint.id);
      joins.delete(request.endpoint.id);
      if (joined === undefined)
        throw new EngineError("internal", `the plugin ${name} was not asked to join the endpoint`);
      moveInside(request, joined, host);
      if (request.published) await publish(await plugin(), request);
    },
    async leave(place) {
      joins.delete(place.endpoint.id);
      moveBack(place);
      const driver = await plugins.get(name, "NetworkDriver", GOODBYE);
      for (const method of ["Leave", "DeleteEndpoint"])
        await driver.call(`NetworkDriver.${method}`, idsOf(place), GOODBYE).catch((error) =>
          logger.log("warn", "a network plug-in did not let go of an endpoint", {
            plugin: name,
            method,
            error: errorMessage(error),
          }),
        );
    },
    // The plug-in has its link back and does with it what it likes.
    discard: async () => {},
  };
}

async function checkScope(driver: Plugin): Promise<void> {
  const { Scope = "local" } = await driver.call<{ Scope?: string }>("NetworkDriver.GetCapabilities", undefined, {
    whenUnknown: {},
  });
  if (Scope === "local") return;
  throw new EngineError(
    "unavailable",
    `the plugin ${driver.name} makes networks of a cluster (scope ${Scope}), and there is no swarm here`,
  );
}

function ipamData({ subnets }: NetworkRecord, family: 4 | 6) {
  return subnets.flatMap(({ Subnet = "", Gateway, AuxiliaryAddresses }) => {
    const subnet = parseCidr(Subnet);
    if (subnet?.family !== family) return [];
    return [
      {
        AddressSpace: "LocalDefault",
        Pool: Subnet,
        ...(Gateway ? { Gateway: `${Gateway}/${subnet.prefix}` } : {}),
        ...(AuxiliaryAddresses ? { AuxAddresses: AuxiliaryAddresses } : {}),
      },
    ];
  });
}

function idsOf({ network, endpoint }: EndpointPlace) {
  return { NetworkID: network.id, EndpointID: endpoint.id };
}

function optionsOf({ endpoint, sandbox }: EndpointPlace) {
  return {
    ...endpoint.settings.DriverOpts,
    [LABEL.exposed]: exposedPorts(sandbox.config),
    [LABEL.portMap]: portMap(sandbox.config),
    ...(endpoint.settings.MacAddress ? { [LABEL.mac]: endpoint.settings.MacAddress } : {}),
  };
}

function exposedPorts({ exposedPorts: ports }: SandboxConfig) {
  return ports.map((text) => {
    const [port = "", protocol = "tcp"] = text.split("/");
    return { Proto: PROTOCOL_NUMBER[protocol] ?? 0, Port: Number(port) };
  });
}

function portMap({ portBindings }: SandboxConfig) {
  return Object.entries(portBindings).flatMap(([text, bindings]) => {
    const [port = "", protocol = "tcp"] = text.split("/");
    return (bindings ?? []).map(({ HostIp = "", HostPort = "" }) => {
      const [first = "", last = first] = HostPort.split("-");
      const host = { HostIP: HostIp, HostPort: Number(first), HostPortEnd: Number(last) };
      return { Proto: PROTOCOL_NUMBER[protocol] ?? 0, IP: "", Port: Number(port), ...host };
    });
  });
}

/** What was chosen here must not be chosen there again; what was left open there may be. */
async function createEndpoint(driver: Plugin, place: EndpointPlace): Promise<EndpointSettings> {
  const {
    IPAddress = "",
    IPPrefixLen = 0,
    GlobalIPv6Address = "",
    GlobalIPv6PrefixLen = 0,
    MacAddress = "",
  } = place.endpoint.settings;
  const given = {
    ...(IPAddress === "" ? {} : { Address: `${IPAddress}/${IPPrefixLen}` }),
    ...(GlobalIPv6Address === "" ? {} : { AddressIPv6: `${GlobalIPv6Address}/${GlobalIPv6PrefixLen}` }),
    ...(MacAddress === "" ? {} : { MacAddress }),
  };
  const { Interface } = await driver.call<CreateEndpointAnswer>("NetworkDriver.CreateEndpoint", {
    ...idsOf(place),
    Interface: given,
    Options: optionsOf(place),
  });
  const answered: Readonly<Record<string, string>> = Object.fromEntries(
    Object.entries(Interface ?? {}).filter(([, value]) => typeof value === "string" && value !== ""),
  );
  for (const key of Object.keys(given))
    if (key in answered)
      throw new EngineError(
        "internal",
        `the plugin ${driver.name} chose another ${key} for the endpoint than it was given`,
      );
  return settingsOf(driver.name, answered);
}

function settingsOf(
  plugin: string,
  { Address, AddressIPv6, MacAddress }: Readonly<Record<string, string>>,
): EndpointSettings {
  const [four, six] = [Address, AddressIPv6].map((text) => (text === undefined ? undefined : parseCidr(text)));
  const wrong =
    (Address !== undefined && four?.family !== 4) ||
    (AddressIPv6 !== undefined && six?.family !== 6) ||
    (MacAddress !== undefined && macBytes(MacAddress) === undefined);
  if (wrong) throw new EngineError("internal", `the plugin ${plugin} gave the endpoint an address that is none`);
  return {
    ...(four === undefined ? {} : { IPAddress: formatIp({ family: 4, value: four.ip }), IPPrefixLen: four.prefix }),
    ...(six === undefined
      ? {}
      : { GlobalIPv6Address: formatIp({ family: 6, value: six.ip }), GlobalIPv6PrefixLen: six.prefix }),
    ...(MacAddress === undefined ? {} : { MacAddress: MacAddress.toLowerCase() }),
  };
}

/** The plug-in's word alone counts: a gateway that nobody answers at is worse than none. */
function gatewaysOf({ internal }: NetworkRecord, { Gateway = "", GatewayIPv6 = "" }: JoinAnswer): EndpointSettings {
  if (internal) return { Gateway: "", IPv6Gateway: "" };
  return {
    Gateway: parseIp(Gateway)?.family === 4 ? Gateway : "",
    IPv6Gateway: parseIp(GatewayIPv6)?.family === 6 ? GatewayIPv6 : "",
  };
}

function moveInside(
  { network, endpoint, netns, inside, gateways }: JoinRequest,
  joined: JoinAnswer,
  host: RouteSocket,
): void {
  const { hostLink, settings, interface: name } = endpoint;
  const fd = openSync(netns, "r");
  try {
    host.run(moveLink(hostLink, fd));
  } finally {
    closeSync(fd);
  }
  const index = inside.link(hostLink)?.index;
  if (index === undefined) throw new EngineError("internal", `the link ${hostLink} did not arrive in the sandbox`);
  renameLink(inside, index, name);
  const mtu = network.options[OPTION.mtu] === undefined ? undefined : mtuOf(network);
  configure({ inside, index, settings, mtu, mac: settings.MacAddress || undefined, linkLocal: false, gateways });
  for (const { Destination = "", NextHop = "" } of joined.StaticRoutes ?? []) {
    const destination = parseCidr(Destination);
    const next = parseIp(NextHop);
    if (destination === undefined)
      throw new EngineError("internal", `the plug-in named a route that is none: ${Destination}`);
    const bytes = ipBytes({ family: destination.family, value: destination.first });
    inside.run(
      addRoute({ link: index, destination: bytes, prefix: destination.prefix, gateway: next && ipBytes(next) }),
    );
  }
}

/** The plug-in gets its link back under the name that it knows, as long as the sandbox is there. */
function moveBack({ endpoint, netns }: EndpointPlace): void {
  if (endpoint.hostLink === "") return;
  insideOf(netns, (inside) => {
    const index = inside.link(endpoint.interface)?.index;
    if (index === undefined) return;
    const fd = openSync("/proc/self/ns/net", "r");
    try {
      renameLink(inside, index, endpoint.hostLink);
      inside.run(moveLink(index, fd));
    } finally {
      closeSync(fd);
    }
  });
}

async function publish(driver: Plugin, place: EndpointPlace): Promise<void> {
  const body = { ...idsOf(place), Options: optionsOf(place) };
  await driver.call("NetworkDriver.ProgramExternalConnectivity", body, { whenUnknown: {} });
}
