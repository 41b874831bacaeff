import type { Port, PortMap } from "../api/types/container.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";

/** What a running container's network says of its ports; of a stopped one, nothing. */
export function portsOf({ networks }: Context, container: Container): PortMap {
  return networks.sandbox(container.id)?.ports ?? {};
}

/** The PORTS column: a line per binding, exposed ones that are not published without host side; lowest first. */
export function portList(ports: PortMap): Port[] {
  return Object.entries(ports)
    .flatMap(([port, bindings]): Port[] => {
      const [number = "", Type = "tcp"] = port.split("/");
      const PrivatePort = Number(number);
      if (!bindings?.length) return [{ PrivatePort, Type }];
      return bindings.map(({ HostIp, HostPort }) => ({
        IP: HostIp || undefined,
        PrivatePort,
        PublicPort: Number(HostPort),
        Type,
      }));
    })
    .sort((a, b) => a.PrivatePort - b.PrivatePort || (a.PublicPort ?? 0) - (b.PublicPort ?? 0));
}

/** Container ports that are published: asked for, or given while it runs. */
export function publishedPorts(context: Context, container: Container): string[] {
  const running = Object.entries(portsOf(context, container)).filter(([, bindings]) => bindings?.length);
  return [...Object.keys(container.definition.hostConfig.PortBindings ?? {}), ...running.map(([port]) => port)];
}
