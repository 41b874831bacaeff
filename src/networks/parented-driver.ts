/** Networks whose containers are on a link of the host as if they were machines of their own: macvlan and ipvlan. */
import { closeSync, openSync } from "node:fs";
import type { NetworkCreateRequest } from "../api/types/network.ts";
import { EngineError, errnoOf } from "../base/errors.ts";
import {
  addChild,
  addVeth,
  addVlan,
  type ChildKind,
  deleteLink,
  type RouteSocket,
  setLink,
} from "../kernel/netlink.ts";
import { setDeviceDefault } from "../kernel/netlink-addresses.ts";
import type { Link } from "../kernel/netlink-answers.ts";
import { mtuOf, OPTION } from "./bridge-options.ts";
import { removeOwnLink } from "./bridges.ts";
import type { Driver, EndpointPlace, JoinRequest } from "./driver.ts";
import type { DriverParts } from "./drivers.ts";
import { configure } from "./interfaces.ts";
import { insideOf } from "./namespaces.ts";
import type { NetworkRecord } from "./records.ts";

type Kind = ChildKind["kind"];

/** Docker's options; the kernel's numbers of their values (linux/if_link.h), the first the standard. */
const MODES = {
  macvlan: { bridge: 4, private: 1, vepa: 2, passthru: 8 },
  ipvlan: { l2: 0, l3: 1, l3s: 2 },
} as const satisfies Record<Kind, Readonly<Record<string, number>>>;
const IPVLAN_FLAGS = { bridge: 0, private: 1, vepa: 2 } as const;
const MODE_OPTION = { macvlan: "macvlan_mode", ipvlan: "ipvlan_mode" } as const;
const FLAG_OPTION = "ipvlan_flag";
const MAC = Uint8Array.of(0x02, 0x42, 0, 0, 0, 1);

export function parentedDriver(kind: Kind, { host, names }: DriverParts): Driver {
  const ensure = (network: NetworkRecord): Link => {
    const parent = host.link(network.link) ?? makeParent({ host, names }, network);
    if (!parent.up) host.run(setLink(parent.index, { up: true }));
    return parent;
  };
  return {
    ownNetns: true,
    wired: true,
    paired: false,
    many: true,
    check: (request, others) => check(kind, request, others),
    linkOf: (id, options) => options.parent || `dm-${id.slice(0, 12)}`,
    async create(network) {
      const { index } = ensure(network);
      probe(kind, network, { host, names }, index);
    },
    ensure,
    remove: (network) => removeOwnLink(host, network.link, names.alias),
    join: (request) => join(kind, request, { host, parent: ensure(request.network) }),
    leave({ endpoint, netns }) {
      insideOf(netns, (inside) => {
        const index = inside.link(endpoint.interface)?.index;
        if (index !== undefined) inside.run(setLink(index, { up: false }));
      });
    },
    discard: async ({ endpoint, netns }: EndpointPlace) =>
      insideOf(netns, (inside) => inside.run(deleteLink(endpoint.interface))),
  };
}

function check(
  kind: Kind,
  { Options = {}, Internal = false }: NetworkCreateRequest,
  others: readonly NetworkRecord[],
): void {
  const mode = Options[MODE_OPTION[kind]];
  if (mode && !Object.hasOwn(MODES[kind], mode))
    throw new EngineError(
      "invalid",
      `requested ${kind} mode '${mode}' is not valid, 'bridge' mode is the ${kind} driver default`,
      {
        hint: `one of ${Object.keys(MODES[kind]).join(", ")}`,
      },
    );
  const flag = Options[FLAG_OPTION];
  if (kind === "ipvlan" && flag && !Object.hasOwn(IPVLAN_FLAGS, flag))
    throw new EngineError("invalid", `unknown ipvlan flag '${flag}'`);
  const { parent = "" } = Options;
  if (parent === "lo") throw new EngineError("invalid", `loopback interface is not a valid ${kind} parent link`);
  if (parent !== "" && (parent.length > 15 || /[\s/:]/.test(parent)))
    throw new EngineError("invalid", `invalid subinterface or interface name: ${JSON.stringify(parent)}`);
  if (Internal || parent === "") return;
  const user = others.find(
    ({ driver, link, options }) => link === parent && (driver !== kind || !canShare(kind, options, Options)),
  );
  if (user !== undefined && ["macvlan", "ipvlan"].includes(user.driver))
    throw new EngineError("forbidden", `network ${user.name} is already using parent interface ${parent}`);
}

/** All ipvlan links of a parent work as the last one made wants it; a passthru macvlan link is its parent's only one. */
function canShare(kind: Kind, one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  if (kind === "macvlan") return !isPassthru(one) && !isPassthru(other);
  const waysOf = (options: Readonly<Record<string, string>>) =>
    `${options[MODE_OPTION.ipvlan] || "l2"} ${options[FLAG_OPTION] || "bridge"}`;
  return waysOf(one) === waysOf(other);
}

function isPassthru(options: Readonly<Record<string, string>>): boolean {
  return options[MODE_OPTION.macvlan] === "passthru";
}

/** "eth0.50" is made as VLAN 50 of eth0; without a parent the network is on a link of its own, that leads nowhere. */
function makeParent({ host, names }: Pick<DriverParts, "host" | "names">, network: NetworkRecord): Link {
  const { link, options, driver } = network;
  if (!options.parent) return owned(host, link, names.alias, () => makeLoosePair(host, link, mtuOf(network)));
  const [, base = "", tag = ""] = /^(.+)\.(\d{1,4})$/.exec(link) ?? [];
  const below = base === "" ? undefined : host.link(base);
  const id = Number(tag);
  if (below === undefined || id < 1 || id > 4094)
    throw new EngineError("invalid", `-o parent interface was not found on the host: ${link}`, {
      hint: `name an interface for ${driver} to be on, or eth0.50 for VLAN 50 of eth0`,
    });
  return owned(host, link, names.alias, () => {
    try {
      host.run(addVlan({ name: link, parent: below.index, id }));
    } catch (cause) {
      throw missing("vlan", cause);
    }
  });
}

/** A pair whose other end nobody has: unlike a bridge without ports it is up, and so are the links on top of it. */
function makeLoosePair(host: RouteSocket, name: string, mtu: number): void {
  const netnsFd = openSync("/proc/self/ns/net", "r");
  const other = `${name.slice(0, -1)}~`;
  try {
    host.run(addVeth({ name, mtu, peer: { name: other, mac: MAC, netnsFd } }), setLink(other, { up: true }));
  } finally {
    closeSync(netnsFd);
  }
}

/** The link is made under the alias that tells whose it is. */
function owned(host: RouteSocket, name: string, alias: string, make: () => void): Link {
  make();
  host.run(setLink(name, { alias, up: true }));
  const link = host.link(name);
  if (link === undefined) throw new EngineError("internal", `link ${name} did not appear`);
  return link;
}

/** Whether the kernel can do it is known before a container needs it. */
function probe(
  kind: Kind,
  network: NetworkRecord,
  { host, names }: Pick<DriverParts, "host" | "names">,
  parent: number,
): void {
  const name = `${names.linkPrefix}probe`;
  try {
    host.run(addChild({ name, parent, ...childOf(kind, network) }));
  } catch (cause) {
    if (errnoOf(cause) === "ENOTSUP") throw missing(kind, cause);
    // A parent whose one child is there already has proved it.
    if (errnoOf(cause) !== "EBUSY" && errnoOf(cause) !== "EINVAL") throw cause;
  } finally {
    host.run(deleteLink(name));
  }
}

function missing(kind: string, cause: unknown): EngineError {
  if (errnoOf(cause) !== "ENOTSUP") throw cause;
  return new EngineError("unavailable", `the kernel of this machine has no ${kind} links`, {
    hint: `load its module (modprobe ${kind}), or use the driver ${kind === "ipvlan" ? "macvlan or " : ""}bridge`,
    cause,
  });
}

function childOf(kind: Kind, { options }: NetworkRecord): ChildKind {
  const modes: Readonly<Record<string, number>> = MODES[kind];
  const mode = modes[options[MODE_OPTION[kind]] || (Object.keys(modes)[0] ?? "")] ?? 0;
  if (kind === "macvlan") return { kind, mode };
  const flags: Readonly<Record<string, number>> = IPVLAN_FLAGS;
  return { kind, mode, flags: flags[options[FLAG_OPTION] ?? ""] ?? 0 };
}

function join(
  kind: Kind,
  { network, endpoint, netns, inside, gateways }: JoinRequest,
  { host, parent }: { host: RouteSocket; parent: Link },
): void {
  const fd = openSync(netns, "r");
  try {
    host.run(addChild({ name: endpoint.interface, parent: parent.index, netnsFd: fd, ...childOf(kind, network) }));
  } catch (cause) {
    if (errnoOf(cause) === "ENOTSUP") throw missing(kind, cause);
    throw new EngineError("internal", `the endpoint could not be put on ${parent.name}: ${(cause as Error).message}`, {
      cause,
    });
  } finally {
    closeSync(fd);
  }
  const index = inside.link(endpoint.interface)?.index ?? 0;
  const { settings } = endpoint;
  const mtu = network.options[OPTION.mtu] === undefined ? undefined : mtuOf(network);
  inside.run(setLink(index, { noAutoIpv6: !network.ipv6 }));
  // All children of an ipvlan parent have its MAC address.
  const mac = kind === "macvlan" ? settings.MacAddress : undefined;
  configure({ inside, index, settings, mtu, mac, linkLocal: false, gateways });
  if (kind === "ipvlan" && network.options[MODE_OPTION.ipvlan]?.startsWith("l3") && !network.internal)
    for (const family of [4, 6] as const)
      if (family === 4 ? network.ipv4 : network.ipv6) inside.run(setDeviceDefault(index, family));
}
