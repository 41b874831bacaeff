import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import { shortId } from "../../../base/ids.ts";
import type { Sandbox, SandboxRequest } from "../../../networks/networks.ts";
import type { ContainerMount } from "../../../runtime/container-mounts.ts";
import type { Toolkit } from "../../toolkit.ts";

export interface NetworkWish {
  /** "bridge", "none", "host", "container:<name or id>", or a network's name. */
  readonly network: string;
  readonly extraHosts: readonly string[];
}

/** A step's network, as its process sees it. */
export interface StepNetwork {
  readonly sandbox: Sandbox;
  readonly hostname: string;
  /** Files that tell about it. What the step writes there is no part of the image. */
  readonly mounts: readonly ContainerMount[];
  /** It is another container's, and stays as it is. */
  readonly joined: boolean;
}

/** Opens the network of a step's container, and writes the files that tell it about it to its bundle, which must be there. */
export async function openNetwork(tools: Toolkit, id: string, wish: NetworkWish): Promise<StepNetwork> {
  const { networks, store, settings } = tools;
  const { network, extraHosts } = wish;
  if (network.startsWith("container:")) return joinNetwork(tools, wish);
  const hostname = shortId(id);
  const request: SandboxRequest = {
    containerId: id,
    name: `build-${hostname}`,
    hostname,
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
  return { sandbox, hostname, mounts: fileMounts(bundle), joined: false };
}

/** As `docker run --network container:…`: the names that the container knows are those that the step knows. */
function joinNetwork(tools: Toolkit, { network, extraHosts }: NetworkWish): StepNetwork {
  if (extraHosts.length > 0)
    throw new EngineError("invalid", "conflicting options: custom host-to-IP mapping and the network mode", {
      hint: "leave --add-host out, or give it to the container whose network the build joins",
    });
  return { ...tools.joinNetwork(network.slice("container:".length)), joined: true };
}

const FILES = { "/etc/resolv.conf": "resolv.conf", "/etc/hostname": "hostname", "/etc/hosts": "hosts" } as const;

function fileMounts(bundle: string): ContainerMount[] {
  return Object.entries(FILES).map(([target, name]) => ({ type: "bind", source: join(bundle, name), target }));
}
