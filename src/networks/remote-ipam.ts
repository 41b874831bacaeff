/** Addresses that a plug-in gives: Docker's IPAM driver protocol. The engine keeps in its rows what it got, and gives it back. */
import { randomBytes } from "node:crypto";
import type { EndpointSettings, IPAMConfig, NetworkCreateRequest } from "../api/types/network.ts";
import { EngineError, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Plugin, Plugins } from "../plugins/plugins.ts";
import { type Family, formatIp, parseCidr } from "./addresses.ts";
import { familiesOf } from "./assign.ts";
import type { Debt, Debts } from "./debts.ts";
import type { NetworkRecord } from "./records.ts";

/** What a network's IPAM driver answered: complete subnets, and the plug-in's ids of them. */
export interface RequestedPools {
  readonly config: readonly IPAMConfig[];
  readonly pools: Readonly<Record<string, string>>;
  /** To be struck out by the transaction that keeps it. */
  readonly debts: readonly string[];
}

export interface Lease {
  readonly wished: EndpointSettings;
  readonly leased: Readonly<Partial<Record<Family, string>>>;
  /** To be struck out by the transaction that keeps it. */
  readonly debts: readonly string[];
}

export interface RemoteIpamOptions {
  readonly plugins: Plugins;
  readonly debts: Debts;
  readonly logger: Logger;
}

const GATEWAY_TYPE = { RequestAddressType: "com.docker.network.gateway" };
const MAC_OPTION = "com.docker.network.endpoint.macaddress";
const GATEWAY_DATA = "com.docker.network.gateway";
const OWN = new Set(["", "default", "null"]);

export function isRemoteIpam(driver: string | undefined): boolean {
  return !OWN.has(driver ?? "");
}

export class RemoteIpam {
  readonly #plugins: Plugins;
  readonly #debts: Debts;
  readonly #logger: Logger;

  constructor({ plugins, debts, logger }: RemoteIpamOptions) {
    this.#plugins = plugins;
    this.#debts = debts;
    this.#logger = logger;
  }

  /** The network's pools, each with its gateway and auxiliary addresses. All or nothing. */
  async requestPools({
    IPAM = {},
    EnableIPv4 = true,
    EnableIPv6 = false,
  }: NetworkCreateRequest): Promise<RequestedPools> {
    const plugin = await this.#plugin(IPAM.Driver ?? "");
    const { LocalDefaultAddressSpace = "" } = await plugin.call<{ LocalDefaultAddressSpace?: string }>(
      "IpamDriver.GetDefaultAddressSpaces",
    );
    const config: IPAMConfig[] = [];
    const pools: Record<string, string> = {};
    const debts: string[] = [];
    try {
      for (const wish of wishes(IPAM.Config ?? [], EnableIPv4, EnableIPv6)) {
        const {
          PoolID = "",
          Pool = "",
          Data,
        } = await plugin.call<PoolAnswer>("IpamDriver.RequestPool", {
          AddressSpace: LocalDefaultAddressSpace,
          Pool: wish.Subnet ?? "",
          SubPool: wish.IPRange ?? "",
          Options: IPAM.Options ?? {},
          V6: wish.V6,
        });
        if (parseCidr(Pool) === undefined) throw badAnswer(plugin, "a pool", Pool);
        pools[Pool] = PoolID;
        debts.push(this.#debts.owe({ driver: plugin.name, method: "ReleasePool", body: { PoolID } }));
        const ask = { plugin, pool: PoolID, debts };
        const Gateway = await this.#gateway(ask, wish, Data?.[GATEWAY_DATA]);
        config.push({ ...wish.config, Subnet: Pool, Gateway });
        for (const address of Object.values(wish.AuxiliaryAddresses ?? {})) await this.#request(ask, address, {});
      }
      return { config, pools, debts };
    } catch (error) {
      await this.giveBack({ debts });
      throw error;
    }
  }

  async #gateway(ask: Ask, { Gateway = "" }: IPAMConfig, offered: unknown): Promise<string> {
    if (Gateway === "" && typeof offered === "string" && parseCidr(offered) !== undefined) return addressOf(offered);
    return this.#request(ask, Gateway, GATEWAY_TYPE);
  }

  /** The address that the pool gave, which is owed from now on. */
  async #request({ plugin, pool, debts }: Ask, wished: string, options: Options): Promise<string> {
    const body = { PoolID: pool, Address: wished, Options: options };
    const answer = await plugin.call<{ Address?: string }>("IpamDriver.RequestAddress", body);
    if (parseCidr(answer.Address ?? "") === undefined) throw badAnswer(plugin, "an address", answer.Address);
    const address = addressOf(answer.Address ?? "");
    debts.push(
      this.#debts.owe({ driver: plugin.name, method: "ReleaseAddress", body: { PoolID: pool, Address: address } }),
    );
    return address;
  }

  /** Gives back all that a network has by `requestPools`. What the plug-in refuses is told. */
  async releasePools(driver: string, { config, pools }: Omit<RequestedPools, "debts">): Promise<void> {
    const plugin = await this.#plugin(driver);
    for (const { Subnet = "", Gateway, AuxiliaryAddresses } of config)
      for (const address of [Gateway, ...Object.values(AuxiliaryAddresses ?? {})])
        if (address) await this.#try(plugin, "ReleaseAddress", { PoolID: pools[Subnet], Address: address });
    for (const PoolID of Object.values(pools)) await this.#try(plugin, "ReleasePool", { PoolID });
  }

  /** An address of each family that the network has. All or nothing. */
  async lease(network: NetworkRecord, wished: EndpointSettings): Promise<Lease> {
    const plugin = await this.#plugin(network.ipamDriver);
    const { RequiresMACAddress } = await plugin.call<{ RequiresMACAddress?: boolean }>(
      "IpamDriver.GetCapabilities",
      undefined,
      { whenUnknown: {} },
    );
    const MacAddress = wished.MacAddress || (RequiresMACAddress === true ? randomMac() : "");
    const options = RequiresMACAddress === true ? { [MAC_OPTION]: MacAddress } : {};
    const leased: Partial<Record<Family, string>> = {};
    const debts: string[] = [];
    try {
      for (const family of familiesOf(network)) {
        const text = (family === 4 ? wished.IPAMConfig?.IPv4Address : wished.IPAMConfig?.IPv6Address) ?? "";
        leased[family] = await firstOf(poolsOf(network, family), (pool) =>
          this.#request({ plugin, pool, debts }, text, options),
        );
      }
      return { wished: MacAddress === "" ? wished : { ...wished, MacAddress }, leased, debts };
    } catch (error) {
      await this.giveBack({ debts });
      throw error;
    }
  }

  /** Within a transaction: an endpoint's addresses will be given back. Answers the debts. */
  owe(network: NetworkRecord, { IPAddress = "", GlobalIPv6Address = "" }: EndpointSettings): string[] {
    const pools = [
      ...poolsOf(network, 4).map((PoolID) => ({ PoolID, Address: IPAddress })),
      ...poolsOf(network, 6).map((PoolID) => ({ PoolID, Address: GlobalIPv6Address })),
    ];
    return pools
      .filter(({ Address }) => Address !== "")
      .map((body) => this.#debts.owe({ driver: network.ipamDriver, method: "ReleaseAddress", body }));
  }

  /** Pools or a lease that no row keeps. Never rejects: what fails is told, and given back by the next start. */
  async giveBack({ debts }: Pick<Lease, "debts">): Promise<void> {
    const ids = new Set(debts);
    await this.payDebts(({ id }) => ids.has(id));
  }

  /** Gives back what no row keeps, all that an engine before owed when none are named. A plug-in that is away is asked by the next start. */
  async payDebts(which: (debt: Debt) => boolean = () => true): Promise<void> {
    for (const { id, driver, method, body } of this.#debts.all().filter(which)) {
      try {
        await this.#try(await this.#plugin(driver), method, body);
        this.#debts.strike([id]);
      } catch (error) {
        this.#logger.log("warn", "an IPAM plug-in is owed what it gave", {
          plugin: driver,
          error: errorMessage(error),
        });
      }
    }
  }

  /** After a start: a plug-in that asks for it is told again what the network has. */
  async replay(network: NetworkRecord): Promise<void> {
    const plugin = await this.#plugin(network.ipamDriver);
    const { RequiresRequestReplay } = await plugin.call<{ RequiresRequestReplay?: boolean }>(
      "IpamDriver.GetCapabilities",
      undefined,
      { whenUnknown: {} },
    );
    if (RequiresRequestReplay !== true) return;
    const { LocalDefaultAddressSpace = "" } = await plugin.call<{ LocalDefaultAddressSpace?: string }>(
      "IpamDriver.GetDefaultAddressSpaces",
    );
    for (const { Subnet = "", IPRange = "", Gateway = "" } of network.subnets) {
      const V6 = Subnet.includes(":");
      const body = {
        AddressSpace: LocalDefaultAddressSpace,
        Pool: Subnet,
        SubPool: IPRange,
        Options: network.ipamOptions ?? {},
        V6,
      };
      const { PoolID = "" } = await plugin.call<PoolAnswer>("IpamDriver.RequestPool", body);
      if (Gateway !== "")
        await this.#try(plugin, "RequestAddress", { PoolID, Address: Gateway, Options: GATEWAY_TYPE });
    }
  }

  async #try(plugin: Plugin, method: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    await plugin.call(`IpamDriver.${method}`, body).catch((error) =>
      this.#logger.log("warn", "an IPAM plug-in refused", {
        plugin: plugin.name,
        method,
        error: errorMessage(error),
      }),
    );
  }

  #plugin(name: string): Promise<Plugin> {
    return this.#plugins.get(name, "IpamDriver");
  }
}

type Options = Readonly<Record<string, string>>;

interface Ask {
  readonly plugin: Plugin;
  readonly pool: string;
  /** Grows by what the plug-in gives. */
  readonly debts: string[];
}

interface PoolAnswer {
  readonly PoolID?: string;
  readonly Pool?: string;
  readonly Data?: Readonly<Record<string, unknown>> | null;
}

type Wish = IPAMConfig & { readonly V6: boolean; readonly config: IPAMConfig };

/** The subnets that the user names, and one of each family of which there is none. */
function wishes(named: readonly IPAMConfig[], ipv4: boolean, ipv6: boolean): Wish[] {
  const all = named.map((config) => ({ ...config, V6: (config.Subnet ?? "").includes(":"), config }));
  const missing = [
    ...(ipv4 && !all.some(({ V6 }) => !V6) ? [false] : []),
    ...(ipv6 && !all.some(({ V6 }) => V6) ? [true] : []),
  ];
  return [...all, ...missing.map((V6) => ({ V6, config: {} }))];
}

function poolsOf({ subnets, pools = {} }: NetworkRecord, family: Family): string[] {
  return subnets.flatMap(({ Subnet = "" }) =>
    Subnet.includes(":") === (family === 6) && pools[Subnet] !== undefined ? [pools[Subnet]] : [],
  );
}

/** Of several pools the first that has one; the last refusal when none has. */
async function firstOf<T>(pools: readonly string[], ask: (pool: string) => Promise<T>): Promise<T> {
  let refusal: unknown = new EngineError("internal", "the network has no address pool of that family");
  for (const pool of pools) {
    try {
      return await ask(pool);
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal;
}

function addressOf(cidr: string): string {
  const { family = 4, ip = 0n } = parseCidr(cidr) ?? {};
  return formatIp({ family, value: ip });
}

function badAnswer({ name }: Plugin, what: string, value: unknown): EngineError {
  return new EngineError(
    "internal",
    `the IPAM plugin ${name} answered with something that is not ${what}: ${JSON.stringify(value)}`,
  );
}

function randomMac(): string {
  return [0x02, 0x42, ...randomBytes(4)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
