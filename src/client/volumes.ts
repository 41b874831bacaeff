import type * as Wire from "../api/types/volume.ts";
import type { Filters } from "./containers.ts";
import type { Response } from "./http.ts";
import { authHeader, type ProgressMessage, progress } from "./progress.ts";
import type { Transport } from "./transport.ts";

export interface VolumesClient {
  list(filters?: Filters): Promise<Wire.VolumeListResponse>;
  inspect(name: string): Promise<Wire.Volume>;
  inspectText(name: string): Promise<string>;
  create(options: Wire.VolumeCreateOptions): Promise<Wire.Volume>;
  remove(name: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<Wire.VolumePruneResult>;
  copy(name: string, request: Wire.VolumeCopyRequest): Promise<Wire.Volume>;
  restore(name: string, from: string): Promise<void>;
  /** The body is a tar. */
  export(name: string): Promise<Response>;
  import(name: string, tar: AsyncIterable<Uint8Array>): Promise<Wire.Volume>;
  /** `auth`: the X-Registry-Auth header's value. */
  push(name: string, reference: string, auth: string | undefined): Promise<AsyncIterable<ProgressMessage>>;
  pull(reference: string, name: string, auth: string | undefined): Promise<AsyncIterable<ProgressMessage>>;
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
    copy: (name, request) => transport.json("POST", `${at(name)}/copy`, { json: request }),
    restore: async (name, from) => {
      await transport.text("POST", `${at(name)}/restore`, { query: { from } });
    },
    export: (name) => transport.call("GET", `${at(name)}/export`),
    push: (name, ref, auth) =>
      progress(transport.call("POST", `${at(name)}/push`, { query: { ref }, headers: authHeader(auth) })),
    pull: (ref, name, auth) =>
      progress(transport.call("POST", "/volumes/pull", { query: { ref, name }, headers: authHeader(auth) })),
    import: (name, tar) =>
      transport.json("POST", "/volumes/import", { query: { name }, body: tar, contentType: "application/x-tar" }),
  };
}
