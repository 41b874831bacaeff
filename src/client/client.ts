/**
 * A typed client of the Engine API. It has the engine's shapes where the two overlap, works against any daemon that speaks
 * the API, and throws EngineErrors whose kinds come from the status. Everything takes one connection per request; a
 * response's body that is not read to its end must be closed.
 */
import { type BuildsClient, buildsClient } from "./builds.ts";
import { type ContainersClient, containersClient } from "./containers.ts";
import { parseHost, type TlsOptions } from "./host.ts";
import { type ImagesClient, imagesClient } from "./images.ts";
import { type NetworksClient, networksClient } from "./networks.ts";
import { type SystemClient, systemClient } from "./system.ts";
import { createTransport, type Transport } from "./transport.ts";
import { type VolumesClient, volumesClient } from "./volumes.ts";

export interface Client {
  readonly transport: Transport;
  readonly builds: BuildsClient;
  readonly containers: ContainersClient;
  readonly images: ImagesClient;
  readonly networks: NetworksClient;
  readonly volumes: VolumesClient;
  readonly system: SystemClient;
}

export function createClient({
  host,
  tls,
  version,
  onUnavailable,
}: {
  readonly host: string;
  readonly tls?: TlsOptions | undefined;
  readonly version?: string | undefined;
  /** Called when nobody answers; true: try once more (it started a daemon). */
  readonly onUnavailable?: (() => Promise<boolean>) | undefined;
}): Client {
  const transport = createTransport({ endpoint: parseHost(host, tls), version, onUnavailable });
  return {
    transport,
    builds: buildsClient(transport),
    containers: containersClient(transport),
    images: imagesClient(transport),
    networks: networksClient(transport),
    volumes: volumesClient(transport),
    system: systemClient(transport),
  };
}
