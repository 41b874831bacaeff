/** For the tests of this module: networks on a root of their own, sandboxes in them, and commands inside namespaces. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId } from "../base/ids.ts";
import type { EventInput } from "../events/events.ts";
import { deleteLink, RouteSocket } from "../kernel/netlink.ts";
import { removeNetns } from "../kernel/netns.ts";
import { applyRuleset, listTable } from "../kernel/nftables.ts";
import { run } from "../kernel/spawn.ts";
import { openPlugins } from "../plugins/open.ts";
import type { Plugins } from "../plugins/plugins.ts";
import { openStore } from "../store/open.ts";
import { makePaths, type Paths } from "../store/paths.ts";
import type { Store } from "../store/store.ts";
import { makeNames } from "./names.ts";
import type { NetworkSettings, Networks, Sandbox, SandboxRequest } from "./networks.ts";
import { openNetworks } from "./open.ts";

export const DEFAULTS: NetworkSettings = {
  bridge: undefined,
  bip: undefined,
  bip6: undefined,
  fixedCidr: undefined,
  fixedCidr6: undefined,
  defaultGateway: undefined,
  defaultGateway6: undefined,
  defaultAddressPools: [],
  ip: "0.0.0.0",
  mtu: 1500,
  icc: true,
  ipForward: true,
  ipForwardNoDrop: false,
  ipMasq: true,
  iptables: true,
  ip6tables: true,
  ipv6: false,
  userlandProxy: true,
  allowDirectRouting: false,
  publishThrough: "forward",
  acceptMark: undefined,
  defaultOptions: {},
};

export const skip = process.getuid?.() === 0 ? false : "needs root";

export interface World extends AsyncDisposable {
  networks: Networks;
  readonly store: Store;
  readonly paths: Paths;
  readonly events: EventInput[];
  readonly logs: string[];
  /** Puts an end to the engine as it is and starts the next one on the same root; not restored yet. */
  next(settings?: Partial<NetworkSettings>): Promise<void>;
}

/** Everything that it made in the kernel is removed at the end. */
export async function makeWorld(
  settings: Partial<NetworkSettings> = {},
  { hostServers, plugins }: Pick<StartOptions, "hostServers" | "plugins"> = {},
): Promise<World> {
  const root = mkdtempSync(join(tmpdir(), "gantry-networks-"));
  const paths = makePaths(join(root, "data"), join(root, "exec"));
  const store = openStore(paths);
  const events: EventInput[] = [];
  const logs: string[] = [];
  const open = (wished: Partial<NetworkSettings>) =>
    startNetworks({ store, settings: wished, events, logs, hostServers, plugins });
  const world: World = {
    networks: await open(settings),
    store,
    paths,
    events,
    logs,
    async next(wished = settings) {
      await world.networks.dispose();
      world.networks = await open(wished);
    },
    async [Symbol.asyncDispose]() {
      await world.networks.dispose();
      store.close();
      await removeAll(paths);
      rmSync(root, { recursive: true, force: true });
    },
  };
  return world;
}

export interface StartOptions {
  readonly store: Store;
  readonly settings?: Partial<NetworkSettings>;
  readonly events?: EventInput[];
  readonly logs?: string[];
  readonly hostServers?: (() => readonly string[]) | undefined;
  readonly plugins?: Plugins | undefined;
}

export function startNetworks({
  store,
  settings = {},
  events = [],
  logs = [],
  hostServers,
  plugins,
}: StartOptions): Promise<Networks> {
  return openNetworks({
    store,
    hostServers,
    plugins: plugins ?? openPlugins({ sockets: [], specs: [] }),
    settings: { ...DEFAULTS, ...settings },
    events: {
      publish: (event) => void events.push(event),
      subscribe: () => {
        throw new Error("not used here");
      },
      listeners: 0,
    },
    logger: { log: (level, message, fields = {}) => void logs.push(`${level} ${message} ${JSON.stringify(fields)}`) },
  });
}

async function removeAll(paths: Paths): Promise<void> {
  const { linkPrefix, alias, table } = makeNames(paths.dataRoot);
  for (const name of readdirSync(paths.netnsFolder)) removeNetns(paths.netns(name));
  const host = new RouteSocket();
  for (const link of host.links())
    if (link.alias === alias || link.name.startsWith(linkPrefix)) host.run(deleteLink(link.index));
  host.close();
  await applyRuleset(`add table inet ${table}\ndelete table inet ${table}\n`);
}

/** What there is in the kernel of this world's: its links' names, its namespaces, whether its table stands and with how many published ports. */
export async function kernelOf({
  paths,
}: World): Promise<{ links: string[]; namespaces: number; published: number | undefined }> {
  const { linkPrefix, alias, table } = makeNames(paths.dataRoot);
  const host = new RouteSocket();
  const links = host.links().filter((link) => link.alias === alias || link.name.startsWith(linkPrefix));
  host.close();
  const objects = await listTable("inet", table);
  const published = objects?.reduce(
    (sum, { map }) => sum + ((map as { elem?: unknown[] } | undefined)?.elem?.length ?? 0),
    0,
  );
  return { links: links.map(({ name }) => name).sort(), namespaces: readdirSync(paths.netnsFolder).length, published };
}

export function requestFor(name: string, changes: Partial<SandboxRequest> = {}): SandboxRequest {
  const network = changes.primary ?? "bridge";
  return {
    containerId: newId(),
    name,
    hostname: name,
    domainname: "",
    endpoints: { [network]: {} },
    primary: network,
    portBindings: {},
    publishAll: [],
    exposedPorts: [],
    ...changes,
  };
}

/** Runs a command in the sandbox's namespace; its output without the last line's end. A failure throws with what it printed. */
export async function inside(sandbox: Sandbox, ...command: readonly string[]): Promise<string> {
  if (sandbox.netns === undefined) throw new Error("the sandbox has no namespace");
  const result = await run("nsenter", [`--net=${sandbox.netns}`, "--", ...command], { timeoutMs: 10_000 });
  if (result.code !== 0)
    throw new Error(`${command.join(" ")}: ${result.stderr.toString() || result.signal || result.code}`);
  return result.stdout.toString().trimEnd();
}
