import type * as Wire from "../api/types/network.ts";
import type { Filters } from "./containers.ts";
import type { Transport } from "./transport.ts";

export interface NetworksClient {
  list(filters?: Filters): Promise<Wire.Network[]>;
  inspect(
    name: string,
    options?: { readonly verbose?: boolean | undefined; readonly scope?: string | undefined },
  ): Promise<Wire.Network>;
  inspectText(name: string, verbose?: boolean): Promise<string>;
  create(request: Wire.NetworkCreateRequest): Promise<Wire.NetworkCreateResponse>;
  remove(name: string): Promise<void>;
  connect(network: string, container: string, endpoint: Wire.EndpointSettings): Promise<void>;
  disconnect(network: string, container: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<Wire.NetworkPruneResult>;
  exposure(): Promise<Wire.NetworkExposure>;
}

export function networksClient(transport: Transport): NetworksClient {
  const at = (name: string, verb = "") => `/networks/${encodeURIComponent(name)}${verb}`;
  return {
    list: (filters) => transport.json("GET", "/networks", { query: { filters } }),
    inspect: (name, { verbose, scope } = {}) => transport.json("GET", at(name), { query: { verbose, scope } }),
    inspectText: (name, verbose) => transport.text("GET", at(name), { query: { verbose } }),
    create: (request) => transport.json("POST", "/networks/create", { json: request }),
    remove: async (name) => {
      await transport.text("DELETE", at(name));
    },
    connect: async (network, container, endpoint) => {
      await transport.text("POST", at(network, "/connect"), {
        json: { Container: container, EndpointConfig: endpoint },
      });
    },
    disconnect: async (network, container, force) => {
      await transport.text("POST", at(network, "/disconnect"), { json: { Container: container, Force: force } });
    },
    exposure: () => transport.json("GET", "/gantry/networks/exposure"),
    prune: (filters) => transport.json("POST", "/networks/prune", { query: { filters } }),
  };
}
