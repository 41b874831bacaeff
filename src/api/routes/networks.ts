/** Networks. */
import { EngineError } from "../../base/errors.ts";
import { ACCEPTED } from "../filters.ts";
import { networkConnect, networkCreate, networkDisconnect } from "../json/requests.ts";
import { matchesNetwork } from "../match-filters.ts";
import { filters } from "../query.ts";
import { empty, json, type Route, route } from "../route.ts";

export const networkRoutes: readonly Route[] = [
  route("GET", "/networks", {
    query: { filters: filters(ACCEPTED.networks) },
    handle: ({ engine, query }) => {
      const networks = engine.networks.list().filter((network) => matchesNetwork(network, query.filters));
      return json(networks.map((network) => ({ ...network, Containers: {} })));
    },
  }),
  route("POST", "/networks/create", {
    handle: async ({ engine, ...call }) =>
      json(await engine.networks.create(present(await call.json(networkCreate))), 201),
  }),
  route("POST", "/networks/prune", {
    since: 25,
    query: { filters: filters(ACCEPTED.pruneNetworks) },
    handle: async ({ engine, query }) => json(await engine.pruneNetworks(query.filters)),
  }),
  route("GET", "/gantry/networks/exposure", { handle: ({ engine }) => json(engine.networks.exposure()) }),
  route("GET", "/networks/{id}", { handle: ({ engine, path }) => json(engine.networks.inspect(path.id)) }),
  route("POST", "/networks/{id}/connect", {
    handle: async ({ engine, path, ...call }) => {
      const { Container = "", EndpointConfig = {} } = present(await call.json(networkConnect));
      await engine.containers.connect(Container, path.id, EndpointConfig);
      return empty(200);
    },
  }),
  route("POST", "/networks/{id}/disconnect", {
    handle: async ({ engine, path, ...call }) => {
      const { Container = "", Force = false } = present(await call.json(networkDisconnect));
      await engine.containers.disconnect(Container, path.id, { force: Force });
      return empty(200);
    },
  }),
  route("DELETE", "/networks/{id}", {
    handle: async ({ engine, path }) => {
      await engine.networks.remove(path.id);
      return empty();
    },
  }),
];

function present<T>(body: T | undefined): T {
  if (body === undefined) throw new EngineError("invalid", "invalid JSON: got EOF while reading request body");
  return body;
}
