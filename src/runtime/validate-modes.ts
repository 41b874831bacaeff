import type { ContainerConfig, HostConfig } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";

/** What each namespace mode may be, besides "container:<name>" where that exists. */
const MODES = {
  IpcMode: { label: "IPC", values: ["", "host", "none", "private", "shareable"], container: true },
  PidMode: { label: "PID", values: ["", "host"], container: true },
  UTSMode: { label: "UTS", values: ["", "host"], container: false },
  UsernsMode: { label: "userns", values: ["", "host"], container: false },
  CgroupnsMode: { label: "cgroup namespace", values: ["", "host", "private"], container: false },
} as const;

/** The namespace modes, and what must not be set along with them. Throws "invalid" with Docker's texts. */
export function checkModes(config: ContainerConfig, hostConfig: HostConfig): void {
  for (const [field, { label, values, container }] of Object.entries(MODES)) {
    const mode = hostConfig[field as keyof typeof MODES] ?? "";
    const known = (values as readonly string[]).includes(mode) || (container && /^container:./.test(mode));
    if (!known) throw new EngineError("invalid", `invalid ${label} mode: ${mode}`);
  }
  for (const [wrong, message] of conflicts(config, hostConfig)) {
    if (wrong) throw new EngineError("invalid", `conflicting options: ${message}`);
  }
}

function conflicts(config: ContainerConfig, hostConfig: HostConfig): readonly (readonly [boolean, string])[] {
  const network = hostConfig.NetworkMode ?? "";
  const container = network.startsWith("container:");
  const host = network === "host";
  const some = (list: readonly unknown[] | object | null | undefined) => Object.keys(list ?? {}).length > 0;
  return [
    [container && Boolean(config.Hostname), "hostname and the network mode"],
    [hostConfig.UTSMode === "host" && Boolean(config.Hostname), "hostname and the UTS mode"],
    [
      host && some(hostConfig.Links),
      "host type networking can't be used with links. This would result in undefined behavior",
    ],
    [
      container && some(hostConfig.Links),
      "container type network can't be used with links. This would result in undefined behavior",
    ],
    [container && some(hostConfig.Dns), "dns and the network mode"],
    [container && some(hostConfig.ExtraHosts), "custom host-to-IP mapping and the network mode"],
    [(container || host) && Boolean(config.MacAddress), "mac-address and the network mode"],
    [
      container && (some(hostConfig.PortBindings) || hostConfig.PublishAllPorts === true),
      "port publishing and the container type network mode",
    ],
    [container && some(config.ExposedPorts), "port exposing and the container type network mode"],
  ];
}
