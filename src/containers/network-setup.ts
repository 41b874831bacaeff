/** A container's network at its start: the sandbox, and the files about it that are mounted into the container. */
import { writeFileSync } from "node:fs";
import { EngineError } from "../base/errors.ts";
import type { Sandbox, SandboxRequest } from "../networks/networks.ts";
import type { ContainerMount } from "../runtime/container-mounts.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { checkLinks, linkHosts, refreshLinked } from "./links.ts";
import { donorOf } from "./namespaces.ts";

export interface ContainerNetwork {
  readonly sandbox: Sandbox;
  /** Whose sandbox and files they are. */
  readonly owner: Container;
}

/** Opens the sandbox, or finds that of the container whose network it shares. */
export async function openNetwork(context: Context, container: Container): Promise<ContainerNetwork> {
  const owner = networkOwner(context, container);
  if (owner !== container) {
    const sandbox = context.networks.sandbox(owner.id);
    if (sandbox === undefined)
      throw new EngineError("conflict", `cannot join network namespace of a non running container: ${owner.id}`);
    return { sandbox, owner };
  }
  checkLinks(context, container);
  const request = sandboxRequest(context, container);
  const sandbox = await context.networks.open(request);
  writeFiles(context, container, request, sandbox);
  refreshLinked(context, container);
  return { sandbox, owner };
}

/** For a process without a record that joins the network of a running container; see `OpenContainers.joinNetwork`. */
export function joinNetwork(context: Context, container: Container) {
  const owner = networkOwner(context, donorOf(context, `container:${container.id}`, "network namespace") ?? container);
  const sandbox = context.networks.sandbox(owner.id);
  if (sandbox === undefined)
    throw new EngineError("conflict", `cannot join network namespace of a non running container: ${owner.id}`);
  const mounts = Object.entries(FILES).map(([target, name]) => ({
    type: "bind" as const,
    source: context.paths.networkFile(owner.id, name),
    target,
  }));
  return { sandbox, hostname: owner.definition.config.Hostname ?? "", mounts };
}

/** Follows "container:" to the end. */
function networkOwner(context: Context, container: Container): Container {
  const seen = new Set<Container>();
  for (let owner = container; !seen.has(owner); ) {
    const donor = donorOf(context, owner.definition.hostConfig.NetworkMode ?? "", "network namespace");
    if (donor === undefined) return owner;
    seen.add(owner);
    owner = donor;
  }
  throw new EngineError("conflict", "cannot join own network");
}

/** The networks that the container is in, under their own names; the one of its mode when it is in none. */
export function sandboxRequest({ networks, settings }: Context, container: Container): SandboxRequest {
  const { config, hostConfig, endpoints: wished } = container.definition;
  const exposedPorts = [
    ...new Set([...Object.keys(config.ExposedPorts ?? {}), ...Object.keys(hostConfig.PortBindings ?? {})]),
  ];
  const primary = networks.nameOf(hostConfig.NetworkMode ?? "bridge");
  const named = Object.fromEntries(Object.entries(wished).map(([name, settings]) => [networks.nameOf(name), settings]));
  const endpoints = Object.keys(named).length > 0 ? named : { [primary]: {} };
  return {
    containerId: container.id,
    name: container.name,
    hostname: config.Hostname ?? "",
    domainname: config.Domainname ?? "",
    endpoints,
    primary,
    portBindings: hostConfig.PortBindings ?? {},
    publishAll: hostConfig.PublishAllPorts ? exposedPorts : [],
    exposedPorts,
    dns: own(hostConfig.Dns, settings.dns),
    dnsOptions: own(hostConfig.DnsOptions, settings.dnsOptions),
    macAddress: endpoints[primary]?.MacAddress || undefined,
  };
}

/** The container's own wish before the daemon's. */
function own(values: readonly string[] | null | undefined, standard: readonly string[]): readonly string[] {
  return values?.length ? values : standard;
}

/** What the container's files say when its sandbox is like that. */
export function networkFiles(context: Context, container: Container, request: SandboxRequest, sandbox: Sandbox) {
  const { networks, settings } = context;
  const { hostConfig } = container.definition;
  return networks.files(request, sandbox, {
    dns: own(hostConfig.Dns, settings.dns),
    dnsSearch: own(hostConfig.DnsSearch, settings.dnsSearch),
    dnsOptions: own(hostConfig.DnsOptions, settings.dnsOptions),
    extraHosts: hostConfig.ExtraHosts ?? [],
    links: linkHosts(context, container),
  });
}

function writeFiles(context: Context, container: Container, request: SandboxRequest, sandbox: Sandbox): void {
  const { paths } = context;
  const files = networkFiles(context, container, request, sandbox);
  writeFileSync(paths.networkFile(container.id, "hosts"), files.hosts, { mode: 0o644 });
  writeFileSync(paths.networkFile(container.id, "resolv.conf"), files.resolvConf, { mode: 0o644 });
  writeFileSync(paths.networkFile(container.id, "hostname"), files.hostname, { mode: 0o644 });
}

const FILES = { "/etc/resolv.conf": "resolv.conf", "/etc/hostname": "hostname", "/etc/hosts": "hosts" } as const;

/** Their mounts, but for those that the container covers by mounts of its own. */
export function networkFileMounts({ paths }: Context, container: Container, owner: Container): ContainerMount[] {
  const { hostConfig, mounts } = container.definition;
  const covered = new Set(mounts.map(({ destination }) => destination));
  return Object.entries(FILES)
    .filter(([target]) => !covered.has(target))
    .map(([target, name]) => ({
      type: "bind",
      source: paths.networkFile(owner.id, name),
      target,
      readOnly: hostConfig.ReadonlyRootfs === true,
    }));
}
