/** An engine's networks in a process that a test kills: opens and closes sandboxes for ever. Arguments: data root, exec root, host port. */
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { requestFor, startNetworks } from "./networks.fixture.ts";

const [, , dataRoot = "", execRoot = "", port = ""] = process.argv;
const networks = await startNetworks({ store: openStore(makePaths(dataRoot, execRoot)) });
const stays = requestFor("stays", { portBindings: { "80/tcp": [{ HostPort: port }] } });
await networks.open(stays);
console.log(stays.containerId);
for (let round = 0; ; round++) {
  const passing = requestFor(`passing-${round}`, { publishAll: ["80/tcp", "53/udp"] });
  const { Id } = await networks.create({ Name: `network-${round}` });
  await networks.open(passing);
  await networks.connect(Id, passing.containerId, {});
  await networks.close(passing.containerId);
  if (round % 2 === 0) await networks.remove(Id);
}
