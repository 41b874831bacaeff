/** Containers that join and leave networks: a running one at once, another with its next start. */
import { readFileSync, writeFileSync } from "node:fs";
import type { EndpointSettings } from "../api/types/network.ts";
import { EngineError } from "../base/errors.ts";
import type { Sandbox } from "../networks/networks.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { networkFiles, sandboxRequest } from "./network-setup.ts";
import { isLive } from "./state.ts";

export interface MembershipChange {
  /** Name or id. */
  readonly network: string;
  readonly settings: EndpointSettings;
}

/** "not-found" for the network; the kinds of Networks.connect and Networks.admit. Nothing is changed on failure. */
export async function connectContainer(
  context: Context,
  container: Container,
  { network, settings }: MembershipChange,
): Promise<void> {
  const { locks, networks, registry } = context;
  await locks.run(container.id, async () => {
    const { definition } = await refuseLeaving(container);
    if ((definition.hostConfig.NetworkMode ?? "").startsWith("container:"))
      throw new EngineError(
        "invalid",
        "container sharing network namespace with another container or host cannot be connected to any other network",
      );
    const before = networks.sandbox(container.id);
    const { name, id } = networks.admit(
      network,
      settings,
      before === undefined ? Object.keys(definition.endpoints) : [],
    );
    if (before !== undefined) {
      await networks.connect(name, container.id, settings);
      refreshFiles(context, container, before);
    }
    const endpoints = { ...definition.endpoints, [name]: { ...settings, NetworkID: id } };
    registry.redefine(container, { ...definition, endpoints });
  });
}

/** "forbidden" when it is not connected, unless `force`. A network that is gone can still be taken out of the record by its name. */
export async function disconnectContainer(
  context: Context,
  container: Container,
  { network, force }: { readonly network: string; readonly force: boolean },
): Promise<void> {
  const { locks, networks, registry } = context;
  await locks.run(container.id, async () => {
    const { definition } = await refuseLeaving(container);
    const name = networks.nameOf(network);
    const before = networks.sandbox(container.id);
    const { [name]: wished, ...rest } = definition.endpoints;
    if (before?.endpoints[name] !== undefined || (before !== undefined && wished === undefined)) {
      await networks.disconnect(network, container.id, force);
      refreshFiles(context, container, before);
    } else if (wished === undefined) {
      // Says so when there is no such network at all.
      networks.inspect(network);
      if (force) return;
      throw new EngineError("forbidden", `container ${container.id} is not connected to the network ${name}`);
    }
    if (wished !== undefined) registry.redefine(container, { ...definition, endpoints: rest });
  });
}

/** A run that has ended has let go of its sandbox afterwards. */
async function refuseLeaving(container: Container): Promise<Container> {
  if (!isLive(container.state)) await container.settled;
  const { status } = container.state;
  if (status === "removing" || status === "dead")
    throw new EngineError(
      "conflict",
      `container is marked for removal and cannot be connected or disconnected to the network: ${container.id}`,
    );
  return container;
}

/** Puts what changed between two sandboxes into the container's files, and leaves what the container wrote there itself. */
function refreshFiles(context: Context, container: Container, before: Sandbox): void {
  const { networks, paths } = context;
  const after = networks.sandbox(container.id);
  if (after === undefined) return;
  const request = sandboxRequest(context, container);
  const [old, now] = [
    networkFiles(context, container, request, before),
    networkFiles(context, container, request, after),
  ];
  const hosts = paths.networkFile(container.id, "hosts");
  const resolv = paths.networkFile(container.id, "resolv.conf");
  // Written in place: the container has the file itself mounted.
  writeFileSync(hosts, amended(readFileSync(hosts, "utf8"), lines(old.hosts), lines(now.hosts)));
  if (readFileSync(resolv, "utf8") === old.resolvConf) writeFileSync(resolv, now.resolvConf);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** The text without the lines that are of `old` alone, and with those that are new in `now`. */
export function amended(text: string, old: readonly string[], now: readonly string[]): string {
  const gone = new Set(old.filter((line) => !now.includes(line)));
  const kept = text.split("\n").filter((line) => !gone.has(line));
  while (kept.at(-1) === "") kept.pop();
  const added = now.filter((line) => !old.includes(line));
  return `${[...kept, ...added].join("\n")}\n`;
}
