import type * as Wire from "../api/types/volume.ts";
import type { Filters } from "./containers.ts";
import type { Transport } from "./transport.ts";

export interface VolumesClient {
  list(filters?: Filters): Promise<Wire.VolumeListResponse>;
  inspect(name: string): Promise<Wire.Volume>;
  inspectText(name: string): Promise<string>;
  create(options: Wire.VolumeCreateOptions): Promise<Wire.Volume>;
  remove(name: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<Wire.VolumePruneResult>;
}

export function volumesClient(transport: Transport): VolumesClient {
  const at = (name: string) => `/volumes/${encodeURIComponent(name)}`;
  return {
    list: (filters) => transport.json("GET", "/volumes", { query: { filters } }),
    inspect: (name) => transport.json("GET", at(name)),
    inspectText: (name) => transport.text("GET", at(name)),
    create: (options) => transport.json("POST", "/volumes/create", { json: options }),
    remove: async (name, force) => {
      await transport.text("DELETE", at(name), { query: { force } });
    },
    prune: (filters) => transport.json("POST", "/volumes/prune", { query: { filters } }),
  };
}
