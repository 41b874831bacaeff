/** `--network` and what goes with it. */
import type { NetworkingConfig } from "../../api/types/container.ts";
import type { EndpointSettings } from "../../api/types/network.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { parseCsv } from "../flags/values.ts";

interface Attachment {
  readonly name: string;
  readonly settings: EndpointSettings;
}

/** The first network is the mode; settings are sent for those that have some, or when there are several. */
export function networking(flags: ParsedFlags): { mode: string; config: NetworkingConfig | undefined } {
  const attachments = [...flags.list("network"), ...flags.list("net")].map(parseNetwork);
  const [first = { name: "default", settings: {} }, ...others] = attachments;
  const all = [{ name: first.name, settings: { ...first.settings, ...fromFlags(flags, first) } }, ...others];
  const names = all.map(({ name }) => name);
  for (const name of names)
    if (names.filter((one) => one === name).length > 1)
      throw new Error(`conflicting options: cannot attach network "${name}" more than once`);
  const configured = all.filter(({ settings }) => all.length > 1 || Object.keys(settings).length > 0);
  if (configured.length === 0) return { mode: first.name, config: undefined };
  const endpoints = configured.map(({ name, settings }) => [name, settings]);
  return { mode: first.name, config: { EndpointsConfig: Object.fromEntries(endpoints) } };
}

function fromFlags(flags: ParsedFlags, first: Attachment): EndpointSettings {
  const aliases = [...flags.list("network-alias"), ...flags.list("net-alias")];
  const [ip, ip6, mac] = [flags.text("ip"), flags.text("ip6"), flags.text("mac-address")];
  const local = [...flags.list("link-local-ip")];
  if (aliases.length > 0 && !isUserDefined(first.name))
    throw new Error("network-scoped aliases are only supported for user-defined networks");
  if (aliases.length > 0 && first.settings.Aliases !== undefined)
    throw new Error("conflicting options: cannot specify both --network-alias and per-network alias");
  if (ip !== "" && first.settings.IPAMConfig?.IPv4Address !== undefined)
    throw new Error("conflicting options: cannot specify both --ip and per-network IPv4 address");
  if (mac !== "" && !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(mac))
    throw new Error(`${mac} is not a valid mac address`);
  const links = flags.list("link");
  return settingsOf({ aliases, ip, ip6, mac, local, links: isUserDefined(first.name) ? links : [] });
}

function isUserDefined(network: string): boolean {
  return !["default", "bridge", "host", "none"].includes(network) && !network.startsWith("container:");
}

function settingsOf(values: {
  readonly aliases: readonly string[];
  readonly ip: string;
  readonly ip6: string;
  readonly mac: string;
  readonly local: readonly string[];
  readonly links?: readonly string[];
}): EndpointSettings {
  const { aliases, ip, ip6, mac, local, links = [] } = values;
  const addresses = {
    ...(ip === "" ? {} : { IPv4Address: ip }),
    ...(ip6 === "" ? {} : { IPv6Address: ip6 }),
    ...(local.length === 0 ? {} : { LinkLocalIPs: [...local] }),
  };
  return {
    ...(Object.keys(addresses).length === 0 ? {} : { IPAMConfig: addresses }),
    ...(aliases.length === 0 ? {} : { Aliases: [...aliases] }),
    ...(links.length === 0 ? {} : { Links: [...links] }),
    ...(mac === "" ? {} : { MacAddress: mac }),
  };
}

/** A name, or `name=…,alias=…,ip=…,ip6=…,mac-address=…,link-local-ip=…,driver-opt=K=V,gw-priority=N`. */
function parseNetwork(text: string): Attachment {
  if (!text.includes("=")) return { name: text, settings: {} };
  const fields: Record<string, string[]> = {};
  for (const field of parseCsv(text)) {
    const equals = field.indexOf("=");
    const key = field.slice(0, equals).trim().toLowerCase();
    fields[key] = [...(fields[key] ?? []), field.slice(equals + 1).trim()];
  }
  const last = (key: string) => fields[key]?.at(-1) ?? "";
  const options = (fields["driver-opt"] ?? []).map((one) => one.split(/=(.*)/s).slice(0, 2));
  const settings = settingsOf({
    aliases: fields.alias ?? [],
    ip: last("ip"),
    ip6: last("ip6"),
    mac: last("mac-address"),
    local: fields["link-local-ip"] ?? [],
  });
  return {
    name: last("name"),
    settings: {
      ...settings,
      ...(options.length === 0 ? {} : { DriverOpts: Object.fromEntries(options) }),
      ...(last("gw-priority") === "" ? {} : { GwPriority: Number(last("gw-priority")) }),
    },
  };
}
