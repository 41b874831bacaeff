/** An engine's networks with addresses of a plug-in, in a process that a test kills. Arguments: data root, exec root, the plug-in's folder. */
import { openPlugins } from "../plugins/open.ts";
import { openStore } from "../store/open.ts";
import { makePaths } from "../store/paths.ts";
import { requestFor, startNetworks } from "./networks.fixture.ts";

const [, , dataRoot = "", execRoot = "", sockets = ""] = process.argv;
const store = openStore(makePaths(dataRoot, execRoot));
const networks = await startNetworks({ store, plugins: openPlugins({ sockets: [sockets], specs: [] }) });
const IPAM = { Driver: "pool", Config: [{ AuxiliaryAddresses: { printer: "10.219.7.9" } }] };
await networks.create({ Name: "leased", EnableIPv6: true, IPAM });
const [one, two] = [requestFor("one", { primary: "leased" }), requestFor("two")];
await networks.open(one);
await networks.open(two);
await networks.connect("leased", two.containerId, {});
await networks.close(one.containerId);
process.exit();
