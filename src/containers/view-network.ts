import type { NetworkSettings } from "../api/types/container.ts";
import type { EndpointSettings } from "../api/types/network.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { portsOf } from "./view-ports.ts";

/** The fields that Docker always shows. */
const EMPTY_ENDPOINT = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: "",
  DriverOpts: null,
  GwPriority: 0,
  NetworkID: "",
  EndpointID: "",
  Gateway: "",
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
};

/** By network name: as wished, and as given while it runs. */
export function endpointViews({ networks }: Context, container: Container): Record<string, EndpointSettings> {
  const given = networks.sandbox(container.id)?.endpoints ?? {};
  const wished = Object.fromEntries(
    Object.entries(container.definition.endpoints).map(([name, settings]) => [networks.nameOf(name), settings]),
  );
  const names = new Set([...Object.keys(wished), ...Object.keys(given)]);
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      {
        ...EMPTY_ENDPOINT,
        ...defined(wished[name]),
        ...defined(given[name]),
      } as unknown as EndpointSettings,
    ]),
  );
}

const defined = (settings: EndpointSettings | undefined) =>
  Object.fromEntries(Object.entries(settings ?? {}).filter(([, value]) => value !== undefined));

export function networkView(context: Context, container: Container): NetworkSettings {
  const sandbox = context.networks.sandbox(container.id);
  const endpoints = endpointViews(context, container);
  const bridge = endpoints.bridge;
  return {
    Bridge: "",
    SandboxID: sandbox?.sandboxId ?? "",
    SandboxKey: sandbox?.netns ?? "",
    Ports: portsOf(context, container),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.EndpointID ?? "",
    Gateway: bridge?.Gateway ?? "",
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? "",
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? "",
    MacAddress: bridge?.MacAddress ?? "",
    Networks: endpoints,
  };
}
