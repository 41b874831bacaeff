/** The table of drivers. A network of another driver is a plug-in's. */
import type { Logger } from "../base/log.ts";
import type { RouteSocket } from "../kernel/netlink.ts";
import type { Plugins } from "../plugins/plugins.ts";
import { bridgeDriver } from "./bridge-driver.ts";
import type { Driver } from "./driver.ts";
import type { Names } from "./names.ts";
import { parentedDriver } from "./parented-driver.ts";
import { remoteDriver } from "./remote-driver.ts";

export interface DriverParts {
  readonly host: RouteSocket;
  readonly names: Names;
  readonly plugins: Plugins;
  readonly logger: Logger;
  /** Network id → its bridge's index, as far as it is known. */
  readonly bridgeIndexes: Map<string, number>;
  /** A network's bridge had to be made anew: the firewall's rules know it afterwards. */
  bridgeMoved(): Promise<void>;
}

export interface Drivers {
  /** Also for a plug-in that is not there now: its calls are refused then. */
  of(name: string): Driver;
  /** Whether a new network may be of it: a row of the table, or a plug-in that can be found. */
  has(name: string): boolean;
}

export function makeDrivers(parts: DriverParts): Drivers {
  const table: Readonly<Record<string, Driver>> = {
    bridge: bridgeDriver(parts),
    host: plainDriver({ ownNetns: false }),
    ipvlan: parentedDriver("ipvlan", parts),
    macvlan: parentedDriver("macvlan", parts),
    null: plainDriver({ ownNetns: true }),
  };
  const remote = new Map<string, Driver>();
  const pluginDriver = (name: string) => {
    const driver = remote.get(name) ?? remoteDriver(name, parts);
    remote.set(name, driver);
    return driver;
  };
  const own = (name: string) => (Object.hasOwn(table, name) ? table[name] : undefined);
  return {
    of: (name) => own(name) ?? pluginDriver(name),
    has: (name) => own(name) !== undefined || parts.plugins.exists(name),
  };
}

function plainDriver({ ownNetns }: { ownNetns: boolean }): Driver {
  const nothing = () => {};
  const done = async () => {};
  return {
    ownNetns,
    wired: false,
    paired: false,
    many: false,
    check: nothing,
    linkOf: () => "",
    create: done,
    ensure: nothing,
    remove: done,
    join: nothing,
    leave: nothing,
    discard: done,
  };
}
