import { HOST_PLATFORM } from "../../oci/platform.ts";
import type { WorkerFacts } from "../buildkit.ts";
import type { PartOf } from "../protobuf/message.ts";
import type { BuildkitVersion, WorkerRecord } from "../wire/worker.ts";

const HOST_GATEWAY = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";

export function versionOf({ version }: WorkerFacts): PartOf<typeof BuildkitVersion> {
  return { package: "gantry", version: `v${version}`, revision: "" };
}

export function workerRecord(facts: WorkerFacts): PartOf<typeof WorkerRecord> {
  const { id, hostGateway } = facts;
  const { os, architecture, variant } = HOST_PLATFORM;
  return {
    id,
    labels: {
      "org.mobyproject.buildkit.worker.executor": "gantry",
      // Buildx tells by it that images have manifests here: it lets through several platforms, archives as outputs, and caches.
      "org.mobyproject.buildkit.worker.snapshotter": "gantry",
      ...(hostGateway !== undefined && { [HOST_GATEWAY]: hostGateway }),
    },
    platforms: [{ os, architecture, variant }],
    buildkitVersion: versionOf(facts),
  };
}
