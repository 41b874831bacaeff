/** Networks that are bridges in the host's kernel. */
import type { NetworkCreateRequest } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import { deleteLink, setLink } from "../kernel/netlink.ts";
import { checkBridgeOptions, OPTION } from "./bridge-options.ts";
import { ensureBridge, makeBridgeAside, plug, removeOwnLink, settled } from "./bridges.ts";
import type { Driver } from "./driver.ts";
import type { DriverParts } from "./drivers.ts";
import { checkGatewayModes } from "./gateway-mode.ts";
import { makePair } from "./namespaces.ts";
import type { NetworkRecord } from "./records.ts";

function refuseTakenName({ Name, Options = {} }: NetworkCreateRequest, others: readonly NetworkRecord[]): void {
  const name = Options[OPTION.name];
  const other = others.find(({ link }) => link !== "" && link === name);
  if (other === undefined) return;
  throw new EngineError(
    "forbidden",
    `cannot create network ${Name} (${name}): conflicts with network ${other.id} (${other.name}): networks have same bridge name`,
  );
}

export function bridgeDriver({ host, names, bridgeIndexes: indexes, bridgeMoved }: DriverParts): Driver {
  const ensure = (network: NetworkRecord) => {
    const index = ensureBridge(host, network, names);
    indexes.set(network.id, index);
    return index;
  };
  return {
    ownNetns: true,
    wired: true,
    paired: true,
    many: true,
    check(request, others) {
      checkBridgeOptions(request.Options ?? {});
      refuseTakenName(request, others);
      checkGatewayModes(request);
    },
    linkOf: (id, options) => options[OPTION.name] || `br-${id.slice(0, 12)}`,
    async create(network) {
      await makeBridgeAside(host, network, names);
      ensure(network);
    },
    ensure,
    async remove(network) {
      indexes.delete(network.id);
      await removeOwnLink(host, network.link, names.alias);
    },
    async join({ network, endpoint, netns, inside, pair, gateways, published }) {
      const { hostLink, settings, interface: name } = endpoint;
      const used = pair ?? makePair({ host, inside, path: netns, hostLink, name });
      const rename = pair && name;
      const request = { host, inside, pair: used, network, settings, rename, gateways, published };
      try {
        plug({ ...request, bridge: indexes.get(network.id) ?? ensure(network) });
      } catch {
        // Someone may have taken the bridge away: one more try on a bridge that was looked for.
        plug({ ...request, bridge: ensure(network) });
        await bridgeMoved();
      }
      await settled(host, { hostLink: used.hostLink, bridge: indexes.get(network.id) ?? 0 });
    },
    leave({ endpoint }) {
      host.run({ ...setLink(endpoint.hostLink, { master: 0, up: false }), tolerate: ["ENODEV"] });
    },
    discard: ({ endpoint }) => host.runAside(deleteLink(endpoint.hostLink)),
  };
}
