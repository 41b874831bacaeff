import { readFileSync } from "node:fs";
import type { SystemVersion } from "../api/types/system.ts";
import type { Host } from "../kernel/host.ts";
import type { RuntimeInfo } from "../runtime/runtime.ts";

/** Docker's names for architectures are Go's. */
const GO_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  ppc64: "ppc64le",
  loong64: "loong64",
};

const MANIFEST = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** Gantry's own version, from package.json. */
export const VERSION: string = MANIFEST.version;

/** Newest and oldest version of the Docker Engine API that the engine's objects fit. */
export const API_VERSION = "1.51";
export const MIN_API_VERSION = "1.24";

export function goArchitecture(host: Host): string {
  return GO_ARCHITECTURES[host.architecture] ?? host.architecture;
}

export function systemVersion(host: Host, runtimes: readonly RuntimeInfo[], experimental: boolean): SystemVersion {
  const details = {
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    Os: "linux",
    Arch: goArchitecture(host),
    KernelVersion: host.kernelVersion,
    GitCommit: "",
    GoVersion: `node ${process.version}`,
    BuildTime: "",
    Experimental: String(experimental),
  };
  return {
    Platform: { Name: "Gantry" },
    Version: VERSION,
    Components: [
      { Name: "Engine", Version: VERSION, Details: details },
      ...runtimes.map(({ name, version, path }) => ({
        Name: name,
        Version: version,
        Details: { GitCommit: "", Path: path },
      })),
    ],
    ...details,
    Experimental: experimental,
  };
}
