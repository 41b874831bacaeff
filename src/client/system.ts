import type { AuthConfig } from "../api/types/image.ts";
import type { DiskUsage, EventMessage, SystemInfo, SystemVersion } from "../api/types/system.ts";
import type { Filters } from "./containers.ts";
import { jsonDocuments } from "./json-stream.ts";
import type { Transport } from "./transport.ts";

/** A JavaScript number cannot hold today's nanoseconds. */
export interface ExactEvent extends Omit<EventMessage, "timeNano"> {
  readonly timeNano: bigint;
}

export interface SystemClient {
  ping(): Promise<void>;
  version(): Promise<SystemVersion>;
  info(): Promise<SystemInfo>;
  /** `types`: "container", "image", "volume", "build-cache"; empty: all. */
  diskUsage(types?: readonly string[]): Promise<DiskUsage>;
  /** Times in seconds since the epoch, with a fraction if wanted ("1700000000.000000001"). Resolves when the daemon listens. */
  events(query: {
    readonly since?: string | undefined;
    readonly until?: string | undefined;
    readonly filters: Filters;
    readonly signal?: AbortSignal | undefined;
  }): Promise<AsyncIterable<ExactEvent>>;
  login(auth: AuthConfig): Promise<{ readonly Status: string; readonly IdentityToken?: string | undefined }>;
  pruneBuildCache(
    filters: Filters,
    all: boolean,
    /** Bytes that may stay. */
    keep?: number,
  ): Promise<{ readonly CachesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }>;
}

export function systemClient(transport: Transport): SystemClient {
  return {
    ping: async () => {
      await transport.text("GET", "/_ping");
    },
    version: () => transport.json("GET", "/version"),
    info: () => transport.json("GET", "/info"),
    diskUsage: (types = []) => transport.json("GET", "/system/df", { query: { type: types } }),
    events: async ({ since, until, filters, signal }) => {
      const response = await transport.call("GET", "/events", { query: { since, until, filters }, signal });
      return jsonDocuments<ExactEvent>(response.body, (key, value, { source }) =>
        key === "timeNano" && source !== undefined ? BigInt(source) : value,
      );
    },
    login: (auth) => transport.json("POST", "/auth", { json: auth }),
    pruneBuildCache: (filters, all, keep = 0) =>
      transport.json("POST", "/build/prune", { query: { filters, all, "keep-storage": keep || undefined } }),
  };
}
