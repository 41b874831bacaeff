/** Who is called what: the names of the containers of each network, as one container sees them. */
import type { EndpointRecord, NetworkRecord, Records } from "../records.ts";

export interface Addresses {
  readonly 4: readonly string[];
  readonly 6: readonly string[];
}

/** One network: lower-case name → endpoints; address → the name of who has it. */
interface Index {
  readonly names: ReadonlyMap<string, readonly EndpointRecord[]>;
  readonly owners: ReadonlyMap<string, string>;
}

/** A network as one container is in it. */
interface Membership {
  readonly network: NetworkRecord;
  /** The container's own names for others: lower-case alias → name. */
  readonly links: ReadonlyMap<string, string>;
}

export class Directory {
  readonly #records: Records;
  readonly #indexes = new Map<string, Index>();
  readonly #memberships = new Map<string, readonly Membership[]>();
  #version = -1;

  constructor(records: Records) {
    this.#records = records;
  }

  /** The addresses of a lower-case name in the container's networks, or of "name.network" in that network; undefined when nobody has it. */
  lookup(containerId: string, name: string): Addresses | undefined {
    const found = new Map<string, EndpointRecord>();
    for (const { network, links } of this.#membershipsOf(containerId)) {
      const suffix = `.${network.name.toLowerCase()}`;
      const short = name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined;
      for (const wished of short === undefined ? [name] : [name, short])
        for (const endpoint of this.#named(network, links.get(wished) ?? wished)) found.set(endpoint.id, endpoint);
    }
    if (found.size === 0) return undefined;
    const all = [...found.values()];
    return {
      4: all.flatMap(({ settings }) => settings.IPAddress || []),
      6: all.flatMap(({ settings }) => settings.GlobalIPv6Address || []),
    };
  }

  /** "name.network" of who has the address in one of the container's networks. */
  ownerOf(containerId: string, address: string): string | undefined {
    for (const { network } of this.#membershipsOf(containerId)) {
      const name = this.#indexOf(network).owners.get(address);
      if (name !== undefined) return `${name}.${network.name}`;
    }
    return undefined;
  }

  /** Whether a way leads out of the container's networks, so that it may ask what others know. */
  reachesOut(containerId: string): boolean {
    return this.#membershipsOf(containerId).some(({ network }) => !network.internal);
  }

  #named(network: NetworkRecord, name: string): readonly EndpointRecord[] {
    return this.#indexOf(network).names.get(name) ?? [];
  }

  /** Only networks of the user's have names; the container is in others as well. */
  #membershipsOf(containerId: string): readonly Membership[] {
    this.#refresh();
    const known = this.#memberships.get(containerId);
    if (known !== undefined) return known;
    const made = this.#records.endpointsOfContainer(containerId).flatMap(({ networkId, settings }) => {
      const network = this.#records.network(networkId);
      return network === undefined ? [] : [{ network, links: linksOf(settings.Links ?? []) }];
    });
    this.#memberships.set(containerId, made);
    return made;
  }

  #indexOf(network: NetworkRecord): Index {
    const known = this.#indexes.get(network.id);
    if (known !== undefined) return known;
    const made = network.predefined ? EMPTY : makeIndex(this.#records.endpointsOfNetwork(network.id));
    this.#indexes.set(network.id, made);
    return made;
  }

  /** Forgets everything as soon as a row has changed; what is asked for is read again. */
  #refresh(): void {
    if (this.#version === this.#records.version) return;
    this.#version = this.#records.version;
    this.#indexes.clear();
    this.#memberships.clear();
  }
}

const EMPTY: Index = { names: new Map(), owners: new Map() };

function makeIndex(endpoints: readonly (EndpointRecord & { containerName: string })[]): Index {
  const names = new Map<string, EndpointRecord[]>();
  const owners = new Map<string, string>();
  for (const endpoint of endpoints) {
    if (!endpoint.joined) continue;
    const { settings, containerName } = endpoint;
    for (const text of settings.DNSNames ?? []) {
      const name = text.toLowerCase();
      const others = names.get(name);
      if (others === undefined) names.set(name, [endpoint]);
      else others.push(endpoint);
    }
    for (const address of [settings.IPAddress, settings.GlobalIPv6Address])
      if (address) owners.set(address, containerName);
  }
  return { names, owners };
}

/** "container:alias", or "container" alone, which needs no alias. */
function linksOf(links: readonly string[]): Map<string, string> {
  return new Map(
    links.flatMap((link) => {
      const [name = "", alias = ""] = link.toLowerCase().split(":");
      return alias === "" ? [] : [[alias.replace(/^.*\//, ""), name.replace(/^\//, "")] as const];
    }),
  );
}
