import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { shortId } from "../../../base/ids.ts";
import type { Sandbox, SandboxRequest } from "../../../networks/networks.ts";
import type { ContainerMount } from "../../../runtime/container-mounts.ts";
import type { Toolkit } from "../../toolkit.ts";

export interface NetworkWish {
  /** "bridge", "none", "host", or a network's name. */
  readonly network: string;
  readonly extraHosts: readonly string[];
}

/** Opens the network of a step's container, and writes the files that tell it about it to its bundle, which must be there. */
export async function openNetwork(tools: Toolkit, id: string, wish: NetworkWish): Promise<Sandbox> {
  const { networks, store, settings } = tools;
  const { network, extraHosts } = wish;
  const request: SandboxRequest = {
    containerId: id,
    name: `build-${shortId(id)}`,
    hostname: shortId(id),
    domainname: "",
    endpoints: { [network]: {} },
    primary: network,
    portBindings: {},
    publishAll: [],
    exposedPorts: [],
  };
  const sandbox = await networks.open(request);
  const { dns, dnsSearch, dnsOptions } = settings;
  const files = networks.files(request, sandbox, { dns, dnsSearch, dnsOptions, extraHosts });
  const bundle = store.paths.bundle(id);
  writeFileSync(join(bundle, "hosts"), files.hosts, { mode: 0o644 });
  writeFileSync(join(bundle, "resolv.conf"), files.resolvConf, { mode: 0o644 });
  writeFileSync(join(bundle, "hostname"), files.hostname, { mode: 0o644 });
  return sandbox;
}

const FILES = { "/etc/resolv.conf": "resolv.conf", "/etc/hostname": "hostname", "/etc/hosts": "hosts" } as const;

/** Their mounts. What the step writes there is no part of the image. */
export function networkFileMounts({ store }: Toolkit, id: string): ContainerMount[] {
  return Object.entries(FILES).map(([target, name]) => ({
    type: "bind",
    source: join(store.paths.bundle(id), name),
    target,
  }));
}
