/** Kernel and database brought together: what should be there is made where it is missing, what nobody knows is removed. */
import { errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { deleteLink, setLink } from "../kernel/netlink.ts";
import { ensureForwarding, ensureGuard } from "./forwarding.ts";
import { sweepAbandoned } from "./leftovers.ts";
import type { Parts } from "./parts.ts";
import { claimBridge } from "./predefined.ts";
import type { NetworkRecord } from "./records.ts";
import { isRemoteIpam } from "./remote-ipam.ts";

/** Bridges, ports, rules, forwarding; then the leftovers. What fails of one network is told and does not keep the others from working. */
export async function restoreKernel(parts: Parts): Promise<void> {
  const { records, host, namespaces, firewall, settings, logger } = parts;
  claimBridge(parts);
  await endIncomplete(parts);
  const networks = records.networks();
  for (const network of networks) ensure(parts, network);
  await holdPorts(parts);
  if (networks.some(({ driver }) => driver === "bridge")) {
    await ensureGuard(parts);
    await ensureForwarding(
      parts,
      networks.some(({ driver, ipv6 }) => driver === "bridge" && ipv6),
    );
    await firewall?.rebuild();
    if (claimBridge(parts)) {
      for (const network of records.networks()) ensure(parts, network);
      await firewall?.rebuild();
    }
  } else if (settings.iptables) await firewall?.remove();
  sweep(parts, networks);
  await sweepAbandoned(parts).catch((error) =>
    logger.log("warn", "leftovers of other engines could not be removed", { error: errorMessage(error) }),
  );
  const sandboxes = new Set(records.sandboxes().map(({ sandboxId }) => sandboxId));
  namespaces.sweep(sandboxes, new Set(records.endpoints().map(({ hostLink }) => hostLink)));
  logger.log("debug", "networks are ready", { networks: networks.length, links: host.links().length });
}

/** Networks that an engine was killed in the midst of making: nobody was told of them. */
async function endIncomplete({ drivers, records, remoteIpam, logger }: Parts): Promise<void> {
  void remoteIpam.payDebts();
  for (const network of records.networks()) {
    if (network.incomplete !== true) {
      if (isRemoteIpam(network.ipamDriver))
        void remoteIpam.replay(network).catch((error) => complain(logger, network, error));
      continue;
    }
    await drivers
      .of(network.driver)
      .remove(network)
      .catch((error) => complain(logger, network, error));
    const { ipamDriver, subnets: config, pools = {} } = network;
    if (isRemoteIpam(ipamDriver))
      await remoteIpam.releasePools(ipamDriver, { config, pools }).catch((error) => complain(logger, network, error));
    records.deleteNetwork(network.id);
  }
}

function complain(logger: Logger, { name }: NetworkRecord, error: unknown): void {
  logger.log("warn", "the plug-in of a network did not do what it should", {
    network: name,
    error: errorMessage(error),
  });
}

function ensure({ drivers, host, records, logger }: Parts, network: NetworkRecord): void {
  try {
    drivers.of(network.driver).ensure(network);
    const bridge = network.link === "" ? undefined : host.link(network.link)?.index;
    if (bridge === undefined) return;
    const ports = new Set(records.endpointsOfNetwork(network.id).map(({ hostLink }) => hostLink));
    const loose = host.links().filter(({ name, master }) => ports.has(name) && master !== bridge);
    if (loose.length > 0) host.run(...loose.map(({ index }) => setLink(index, { master: bridge, up: true })));
  } catch (error) {
    logger.log("error", `network ${network.name} could not be set up`, {
      network: network.id,
      error: errorMessage(error),
    });
  }
}

/** A port that someone took while no engine held it still works: the rules come before sockets. */
async function holdPorts({ records, holder, logger }: Parts): Promise<void> {
  for (const port of records.ports()) {
    try {
      await holder.hold(port);
    } catch (error) {
      const { protocol, hostIp, hostPort } = port;
      logger.log("warn", "a published port could not be held", {
        port: `${hostIp}:${hostPort}/${protocol}`,
        error: errorMessage(error),
      });
    }
  }
}

/**
 * When the engine goes and no container uses a network, nothing of it stays in the kernel; the next start makes it again from the
 * database. With a container that runs on, all stays.
 */
export async function leaveKernel(parts: Parts): Promise<void> {
  const { records, firewall, foreign } = parts;
  if (records.sandboxes().length > 0) return;
  sweep(parts, []);
  await firewall?.remove();
  if (firewall !== undefined) await foreign.leave();
}

/** Bridges of ours that the database does not know. */
function sweep({ host, names }: Parts, networks: readonly NetworkRecord[]): void {
  const known = new Set(networks.map(({ link }) => link));
  for (const { name, kind, alias, index } of host.links())
    if (kind === "bridge" && alias === names.alias && !known.has(name)) host.run(deleteLink(index));
}
