/**
 * A network driver and an IPAM driver in one file: `node driver.ts SOCKET STATE`. Its networks are cables: a veth pair per container, and routes of
 * the host between them, without any bridge. The engine finds it by its socket in /run/docker/plugins and speaks Docker's remote driver
 * protocol: a POST for each method, JSON in and out. What it must know after a restart is in the file STATE.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname } from "node:path";
import { json } from "node:stream/consumers";

const [socket = "/run/docker/plugins/cables.sock", stateFile = "/var/lib/cables.json"] = process.argv.slice(2);

interface State {
  /** Network → the host's address on all of its cables. */
  networks: Record<string, { gateway: string }>;
  /** Endpoint → the container's address. */
  endpoints: Record<string, { address: string }>;
  /** Pool id (its subnet) → addresses taken, as numbers from the subnet's first. */
  pools: Record<string, number[]>;
}

const state: State = existsSync(stateFile)
  ? JSON.parse(readFileSync(stateFile, "utf8"))
  : { networks: {}, endpoints: {}, pools: {} };

function save(): void {
  writeFileSync(`${stateFile}.new`, JSON.stringify(state));
  renameSync(`${stateFile}.new`, stateFile);
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr.trim()}`);
}

/** The ends of an endpoint's cable; a link's name has 15 characters at most. */
const ends = (endpoint: string) => ({ host: `cah${endpoint.slice(0, 10)}`, inner: `cai${endpoint.slice(0, 10)}` });

interface Asked {
  readonly NetworkID: string;
  readonly EndpointID: string;
  readonly Options?: Readonly<Record<string, unknown>>;
  readonly IPv4Data?: readonly { readonly Pool: string; readonly Gateway?: string }[];
  readonly Interface?: { readonly Address?: string };
  readonly Pool?: string;
  readonly PoolID?: string;
  readonly Address?: string;
}

type Method = (asked: Asked) => object;

const NETWORK: Readonly<Record<string, Method>> = {
  GetCapabilities: () => ({ Scope: "local", ConnectivityScope: "local" }),
  CreateNetwork: ({ NetworkID, IPv4Data = [] }) => {
    const [first] = IPv4Data;
    if (first?.Gateway === undefined) throw new Error("a network of cables needs IPv4 and a gateway");
    state.networks[NetworkID] = { gateway: first.Gateway.split("/")[0] ?? "" };
    return {};
  },
  DeleteNetwork: ({ NetworkID }) => {
    delete state.networks[NetworkID];
    return {};
  },
  CreateEndpoint: ({ EndpointID, Interface = {} }) => {
    const address = Interface.Address?.split("/")[0];
    if (address === undefined) throw new Error("an endpoint needs an address");
    const { host, inner } = ends(EndpointID);
    ip("link", "add", host, "type", "veth", "peer", "name", inner);
    state.endpoints[EndpointID] = { address };
    return { Interface: {} };
  },
  DeleteEndpoint: ({ EndpointID }) => {
    const { host } = ends(EndpointID);
    if (existsSync(`/sys/class/net/${host}`)) ip("link", "del", host);
    delete state.endpoints[EndpointID];
    return {};
  },
  EndpointOperInfo: () => ({ Value: {} }),
  /** Each cable has the gateway's address at the host's end; the host knows by a route which cable leads to whom. */
  Join: ({ NetworkID, EndpointID }) => {
    const [network, endpoint] = [state.networks[NetworkID], state.endpoints[EndpointID]];
    if (network === undefined || endpoint === undefined) throw new Error(`unknown endpoint ${EndpointID}`);
    const { host, inner } = ends(EndpointID);
    ip("link", "set", host, "up");
    ip("addr", "add", `${network.gateway}/32`, "dev", host);
    ip("route", "replace", `${endpoint.address}/32`, "dev", host, "src", network.gateway);
    // The host answers for the others on this cable, and at once.
    writeFileSync(`/proc/sys/net/ipv4/conf/${host}/proxy_arp`, "1");
    writeFileSync(`/proc/sys/net/ipv4/neigh/${host}/proxy_delay`, "0");
    return { InterfaceName: { SrcName: inner, DstPrefix: "cable" }, Gateway: network.gateway };
  },
  Leave: () => ({}),
  ProgramExternalConnectivity: () => ({}),
  RevokeExternalConnectivity: () => ({}),
};

/** Hands out 10.131.0.0/24, 10.131.1.0/24 …, or what the user names. */
const IPAM: Readonly<Record<string, Method>> = {
  GetCapabilities: () => ({ RequiresMACAddress: false }),
  GetDefaultAddressSpaces: () => ({ LocalDefaultAddressSpace: "cables", GlobalDefaultAddressSpace: "cables" }),
  RequestPool: ({ Pool = "" }) => {
    const pool = Pool || freePool();
    if (!pool.endsWith(".0/24")) throw new Error("pools of cables are /24");
    if (state.pools[pool] !== undefined) throw new Error(`${pool} is taken`);
    state.pools[pool] = [];
    return { PoolID: pool, Pool: pool, Data: {} };
  },
  ReleasePool: ({ PoolID = "" }) => {
    delete state.pools[PoolID];
    return {};
  },
  RequestAddress: ({ PoolID = "", Address = "" }) => {
    const taken = state.pools[PoolID];
    if (taken === undefined) throw new Error(`unknown pool ${PoolID}`);
    const number = Address === "" ? freeNumber(taken) : Number(Address.split(".")[3]);
    if (taken.includes(number)) throw new Error(`${Address} is taken`);
    taken.push(number);
    return { Address: `${PoolID.replace(/\.0\/24$/, "")}.${number}/24`, Data: {} };
  },
  ReleaseAddress: ({ PoolID = "", Address = "" }) => {
    const number = Number(Address.split(".")[3]);
    state.pools[PoolID] = (state.pools[PoolID] ?? []).filter((one) => one !== number);
    return {};
  },
};

function freePool(): string {
  for (let number = 0; number < 256; number++) {
    const pool = `10.131.${number}.0/24`;
    if (state.pools[pool] === undefined) return pool;
  }
  throw new Error("no pool is left");
}

function freeNumber(taken: readonly number[]): number {
  for (let number = 1; number < 255; number++) if (!taken.includes(number)) return number;
  throw new Error("no address is left");
}

const METHODS: Readonly<Record<string, Method>> = {
  "Plugin.Activate": () => ({ Implements: ["NetworkDriver", "IpamDriver"] }),
  ...Object.fromEntries(Object.entries(NETWORK).map(([name, method]) => [`NetworkDriver.${name}`, method])),
  ...Object.fromEntries(Object.entries(IPAM).map(([name, method]) => [`IpamDriver.${name}`, method])),
};

mkdirSync(dirname(socket), { recursive: true });
rmSync(socket, { force: true });
createServer(async (request, response) => {
  const method = METHODS[(request.url ?? "").slice(1)];
  if (method === undefined) {
    response.writeHead(404).end();
    return;
  }
  let answer: object;
  try {
    answer = method((await json(request).catch(() => ({}))) as Asked);
    save();
  } catch (error) {
    answer = { Err: (error as Error).message };
  }
  response.writeHead(200, { "Content-Type": "application/vnd.docker.plugins.v1.2+json" }).end(JSON.stringify(answer));
}).listen(socket, () => console.log(`cables: listening at ${socket}`));
