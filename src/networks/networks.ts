/**
 * The networks module's contract.
 *
 * Vocabulary
 *   sandbox   a container's network namespace, `<exec-root>/netns/<id>`, with its interfaces
 *   endpoint  one network's end in a sandbox: interface, addresses, aliases
 *   binding   a published port: host address and port → container port
 *
 * Everything here is in the kernel (links, addresses, nftables): it works on without gantryd. `restore` finds it again.
 * Drivers: a row each in drivers.ts.
 */

import type { PortMap } from "../api/types/container.ts";
import type { EndpointSettings, Network, NetworkCreateRequest, NetworkExposure } from "../api/types/network.ts";

/** What the daemon's flags set of networks; dockerd's names and meanings. */
export interface NetworkSettings {
  /** The default bridge's name; "none": no default bridge. Chosen by the engine when undefined. */
  readonly bridge: string | undefined;
  /** "172.30.0.1/16". */
  readonly bip: string | undefined;
  readonly bip6: string | undefined;
  readonly fixedCidr: string | undefined;
  readonly fixedCidr6: string | undefined;
  readonly defaultGateway: string | undefined;
  readonly defaultGateway6: string | undefined;
  readonly defaultAddressPools: readonly { readonly base: string; readonly size: number }[];
  /** Default host address of published ports. */
  readonly ip: string;
  readonly mtu: number;
  /** Containers of the default bridge may talk to each other. */
  readonly icc: boolean;
  readonly ipForward: boolean;
  /** Leave what others forward alone when forwarding had to be switched on. */
  readonly ipForwardNoDrop: boolean;
  readonly ipMasq: boolean;
  readonly iptables: boolean;
  readonly ip6tables: boolean;
  readonly ipv6: boolean;
  /** Pass on to containers what the kernel cannot: from IPv6 to IPv4 alone, from ::1. */
  readonly userlandProxy: boolean;
  /** Published ports may also be reached at the container's own address. */
  readonly allowDirectRouting: boolean;
  /**
   * The way of what comes in at published ports. "forward": translated by the kernel, past the host's rules for what is sent to itself;
   * "input": through those rules, as if the host itself listened; callers look like the gateway then.
   */
  readonly publishThrough: "forward" | "input";
  /** "0x1" or "0x1/0x3": packets with this mark reach every container. */
  readonly acceptMark: string | undefined;
  /** Driver → options of its new networks that don't say. */
  readonly defaultOptions: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface SandboxRequest {
  readonly containerId: string;
  /** Without the leading "/". */
  readonly name: string;
  readonly hostname: string;
  readonly domainname: string;
  /** Network name or id → wished settings; at least one. */
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  /** The one that gives the default route and takes the published ports; a key of `endpoints`. */
  readonly primary: string;
  readonly portBindings: PortMap;
  /** Ports to publish at random host ports as well (`-P`): "80/tcp". */
  readonly publishAll: readonly string[];
  readonly exposedPorts: readonly string[];
  /** Name servers and options that the user or the daemon's settings name. */
  readonly dns?: readonly string[] | undefined;
  readonly dnsOptions?: readonly string[] | undefined;
  /** A wished MAC address for the primary endpoint. */
  readonly macAddress?: string | undefined;
}

export interface Sandbox {
  /** The namespace's file to join; undefined: the host's own. */
  readonly netns: string | undefined;
  readonly sandboxId: string;
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  /** With the host ports that were chosen; null for exposed ports not published. */
  readonly ports: PortMap;
  /** Whether a name server of ours answers at 127.0.0.11: there is a user-defined network among its own. */
  readonly dns: boolean;
}

export interface Networks {
  create(request: NetworkCreateRequest): Promise<{ Id: string; Warning: string }>;
  /** By name, id, id prefix. "not-found": `network x not found`. Containers included. */
  inspect(name: string): Network;
  list(): Network[];
  /** The own name of the network that goes by this name or id; the text itself when there is none such. */
  nameOf(name: string): string;
  /** "forbidden" for predefined networks ("bridge is a pre-defined network and cannot be removed"), for ones with endpoints ("… has active endpoints"). */
  remove(name: string): Promise<void>;

  /**
   * Makes the sandbox ready. All or nothing: a taken port ("conflict"/"internal" with Docker's `… port is already allocated`) leaves no trace.
   * Fast path: one netlink round per link, a pool of ready namespaces.
   */
  open(request: SandboxRequest): Promise<Sandbox>;
  /** Takes rules, addresses, links and the namespace away. Idempotent; works without a running container. */
  close(containerId: string): Promise<void>;
  /** The sandbox as opened, also by an earlier gantryd. */
  sandbox(containerId: string): Sandbox | undefined;
  /**
   * The running container has one network more or less; all or nothing. Default routes and published ports follow: they go through
   * the network with the highest `GwPriority`, then the one whose name comes first. "conflict" when it does not run, "forbidden" when
   * it is there already or is not, "invalid" when that cannot be. After `disconnect` nothing passes; the link itself is gone a moment later.
   */
  connect(network: string, containerId: string, settings: EndpointSettings): Promise<void>;
  disconnect(network: string, containerId: string, force: boolean): Promise<void>;
  /**
   * What `connect` would check for a container that does not run and is in the networks `present`; answers the network's own name and
   * id. "not-found", "invalid".
   */
  admit(
    network: string,
    settings: EndpointSettings,
    present: readonly string[],
  ): { readonly name: string; readonly id: string };
  /** The running container is found under another name from now on. */
  rename(containerId: string, name: string): Promise<void>;

  /** What of the running containers is reachable now, and from where. */
  exposure(): NetworkExposure;

  /** What the container's files say: called before each start and after each change. */
  files(
    request: SandboxRequest,
    sandbox: Sandbox,
    options: {
      readonly dns: readonly string[];
      readonly dnsSearch: readonly string[];
      readonly dnsOptions: readonly string[];
      readonly extraHosts: readonly string[];
      readonly links?: readonly string[];
    },
  ): { hosts: string; resolvConf: string; hostname: string };

  /** Brings kernel and database together after a start: bridge and rules are made again where missing, sandboxes of containers not in `alive` are closed. */
  restore(alive: ReadonlySet<string>): Promise<void>;
  /** Lets go of pools and timers; running containers keep their network. */
  dispose(): Promise<void>;
}
