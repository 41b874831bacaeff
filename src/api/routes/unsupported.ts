/** What Gantry does not do, said in the words clients know; each row names what to do instead. */
import { EngineError } from "../../base/errors.ts";
import { json, type Method, type Route, route } from "../route.ts";

const CANCEL_HINT = "A build ends when its client closes the connection.";
const PLUGIN_HINT = "Managed plugins are not supported.";
const SWARM_HINT = "Swarm mode is not supported: run containers on this engine directly.";

const NO_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

type Row = readonly [method: Method, path: string];

const MANAGER_ONLY: readonly Row[] = [
  ["GET", "/swarm"],
  ["POST", "/swarm/update"],
  ["GET", "/swarm/unlockkey"],
  ["POST", "/swarm/unlock"],
  ["GET", "/nodes"],
  ["GET", "/nodes/{id}"],
  ["DELETE", "/nodes/{id}"],
  ["POST", "/nodes/{id}/update"],
  ["GET", "/services"],
  ["POST", "/services/create"],
  ["GET", "/services/{id}/logs"],
  ["GET", "/services/{id}"],
  ["DELETE", "/services/{id}"],
  ["POST", "/services/{id}/update"],
  ["GET", "/tasks"],
  ["GET", "/tasks/{id}/logs"],
  ["GET", "/tasks/{id}"],
  ["GET", "/secrets"],
  ["POST", "/secrets/create"],
  ["GET", "/secrets/{id}"],
  ["DELETE", "/secrets/{id}"],
  ["POST", "/secrets/{id}/update"],
  ["GET", "/configs"],
  ["POST", "/configs/create"],
  ["GET", "/configs/{id}"],
  ["DELETE", "/configs/{id}"],
  ["POST", "/configs/{id}/update"],
  ["PUT", "/volumes/{name}"],
];

const NOT_DONE: readonly (readonly [...Row, message: string, hint: string])[] = [
  ["POST", "/build/cancel", "cancelling a build by its id is not implemented", CANCEL_HINT],
  ["GET", "/containers/{id}/checkpoints", "checkpoints are not implemented", "Stop and start the container instead."],
  ["POST", "/containers/{id}/checkpoints", "checkpoints are not implemented", "Stop and start the container instead."],
  [
    "DELETE",
    "/containers/{id}/checkpoints/{checkpoint}",
    "checkpoints are not implemented",
    "Stop and start the container instead.",
  ],
  ["POST", "/swarm/init", "swarm mode is not implemented", SWARM_HINT],
  ["POST", "/swarm/join", "swarm mode is not implemented", SWARM_HINT],
  ["GET", "/plugins/privileges", "plugins are not implemented", PLUGIN_HINT],
  ["POST", "/plugins/pull", "plugins are not implemented", PLUGIN_HINT],
  ["POST", "/plugins/create", "plugins are not implemented", PLUGIN_HINT],
  ["POST", "/plugins/{name}/push", "plugins are not implemented", PLUGIN_HINT],
];

const NO_PLUGIN: readonly Row[] = [
  ["GET", "/plugins/{name}/json"],
  ["DELETE", "/plugins/{name}"],
  ["POST", "/plugins/{name}/enable"],
  ["POST", "/plugins/{name}/disable"],
  ["POST", "/plugins/{name}/upgrade"],
  ["POST", "/plugins/{name}/set"],
];

export const unsupportedRoutes: readonly Route[] = [
  route("GET", "/plugins", { handle: () => json([]) }),
  refusal("POST", "/swarm/leave", () => new EngineError("unavailable", "This node is not part of a swarm")),
  ...MANAGER_ONLY.map(([method, path]) => refusal(method, path, () => new EngineError("unavailable", NO_MANAGER))),
  ...NOT_DONE.map(([method, path, message, hint]) =>
    refusal(method, path, () => new EngineError("not-implemented", message, { hint })),
  ),
  ...NO_PLUGIN.map(([method, path]) =>
    refusal(method, path, ({ name = "" }) => new EngineError("not-found", `plugin ${JSON.stringify(name)} not found`)),
  ),
];

function refusal(method: Method, path: string, error: (path: Readonly<Record<string, string>>) => EngineError): Route {
  return {
    method,
    path,
    query: {},
    handle: (call) => {
      throw error(call.path);
    },
  };
}
