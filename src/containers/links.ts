/**
 * `--link` on the default bridge: the other container is known by an alias, in /etc/hosts and by variables of the environment. On
 * networks of the user's a link is an alias of the endpoint's, which the name server knows.
 */
import { closeSync, ftruncateSync, openSync, readSync, writeFileSync } from "node:fs";
import type { HostConfig } from "../api/types/container.ts";
import { EngineError, errorKind, errorMessage } from "../base/errors.ts";
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { isRunning } from "./state.ts";

export interface Link {
  readonly target: Container;
  readonly alias: string;
}

const DEFAULT_NETWORK = "bridge";

/** "name" or "name:alias" as "id:alias": names change hands, ids do not. "invalid" for a link to nobody. */
export function resolveLinks(
  { registry }: Pick<Context, "registry">,
  links: HostConfig["Links"],
): string[] | undefined {
  return links?.map((text) => {
    const [name = "", alias = name, ...rest] = text.split(":").map((part) => part.replace(/^.*\//, ""));
    if (name === "" || alias === "" || rest.length > 0)
      throw new EngineError(
        "invalid",
        text === "" ? "empty string specified for links" : `bad format for links: ${text}`,
      );
    try {
      const target = registry.get(name);
      if (target.definition.hostConfig.NetworkMode === "host")
        throw new EngineError(
          "invalid",
          "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        );
      return `${target.id}:${alias}`;
    } catch (cause) {
      // "invalid", not "not-found": for that clients would pull the container's own image.
      if (errorKind(cause) !== "not-found") throw cause;
      throw new EngineError("invalid", `could not get container for ${name}: ${errorMessage(cause)}`, { cause });
    }
  });
}

/** As inspect shows them: "/db:/web/database". Those to containers that are gone are gone too. */
export function linkViews(context: Pick<Context, "registry">, container: Container): string[] | null {
  const views = linksOf(context, container).map(({ target, alias }) => `/${target.name}:/${container.name}/${alias}`);
  return views.length === 0 ? null : views.sort();
}

/** Those whose target is still there. */
export function linksOf({ registry }: Pick<Context, "registry">, { definition }: Container): Link[] {
  return (definition.hostConfig.Links ?? []).flatMap((text) => {
    const [id = "", alias = ""] = text.split(":");
    const target = registry.has(id) ? registry.get(id) : undefined;
    return target === undefined ? [] : [{ target, alias }];
  });
}

/** "conflict" when a target does not run, or is elsewhere. */
export function checkLinks(context: Context, container: Container): void {
  for (const { target, alias } of usedLinks(context, container)) {
    if (!isRunning(target.state))
      throw new EngineError(
        "conflict",
        `Cannot link to a non running container: /${target.name} AS /${container.name}/${alias}`,
        { hint: `start it first: gantry start ${target.name}` },
      );
    if (endpointOf(context, target) === undefined)
      throw new EngineError("conflict", `container ${target.id} not attached to default bridge network`);
  }
}

/** Those that mean something: the container is on the default bridge. */
export function usedLinks(context: Context, container: Container): Link[] {
  const mode = context.networks.nameOf(container.definition.hostConfig.NetworkMode ?? DEFAULT_NETWORK);
  return mode === DEFAULT_NETWORK ? linksOf(context, container) : [];
}

function endpointOf({ networks }: Context, target: Container) {
  return networks.sandbox(target.id)?.endpoints[DEFAULT_NETWORK];
}

/** Lines of /etc/hosts: address, then alias, host name, and the name where it is another. */
export function linkHosts(context: Context, container: Container): string[] {
  return usedLinks(context, container).flatMap((link) => {
    const { IPAddress, GlobalIPv6Address } = endpointOf(context, link.target) ?? {};
    return [IPAddress, GlobalIPv6Address].flatMap((address) => (address ? [`${address}\t${hostNames(link)}`] : []));
  });
}

function hostNames({ target, alias }: Link): string {
  return [...new Set([alias, target.definition.config.Hostname ?? "", target.name])].filter(Boolean).join(" ");
}

/** DB_NAME, DB_PORT (the lowest), DB_PORT_5432_TCP and the like, DB_PORT_8000_TCP_START and _END of ports in a row, DB_ENV_x for each of the target's own variables. */
export function linkEnvironment(context: Context, container: Container): string[] {
  return usedLinks(context, container).flatMap(({ target, alias }) => {
    const prefix = alias.toUpperCase().replaceAll("-", "_");
    const address = endpointOf(context, target)?.IPAddress ?? "";
    const ports = exposedPorts(target);
    const [first] = ports;
    const url = ({ port, protocol }: ExposedPort) => `${protocol}://${address}:${port}`;
    return [
      ...(first === undefined ? [] : [`${prefix}_PORT=${url(first)}`]),
      ...portRanges(ports).flatMap(([start, end]) => {
        const name = `${prefix}_PORT_${start.port}_${start.protocol.toUpperCase()}`;
        return [
          `${name}_START=${url(start)}`,
          `${name}_PORT_START=${start.port}`,
          `${name}_END=${url(end)}`,
          `${name}_PORT_END=${end.port}`,
        ];
      }),
      ...ports.flatMap((exposed) => {
        const name = `${prefix}_PORT_${exposed.port}_${exposed.protocol.toUpperCase()}`;
        return [
          `${name}=${url(exposed)}`,
          `${name}_ADDR=${address}`,
          `${name}_PORT=${exposed.port}`,
          `${name}_PROTO=${exposed.protocol}`,
        ];
      }),
      `${prefix}_NAME=/${container.name}/${alias}`,
      ...(target.definition.config.Env ?? [])
        .filter((entry) => /^[^=]+=/.test(entry) && !/^(?:HOME|PATH)=/.test(entry))
        .map((entry) => `${prefix}_ENV_${entry}`),
    ];
  });
}

interface ExposedPort {
  readonly port: number;
  readonly protocol: string;
}

/** By number; of one number tcp comes first. */
function exposedPorts({ definition: { config, hostConfig } }: Container): ExposedPort[] {
  const keys = new Set([...Object.keys(config.ExposedPorts ?? {}), ...Object.keys(hostConfig.PortBindings ?? {})]);
  return [...keys]
    .map((key) => {
      const [port = "", protocol = "tcp"] = key.split("/");
      return { port: Number(port), protocol };
    })
    .sort((a, b) => a.port - b.port || Number(b.protocol === "tcp") - Number(a.protocol === "tcp"));
}

/** Three or more of one protocol in a row, as Docker counts: the first and the last of each. */
function portRanges(ports: readonly ExposedPort[]): (readonly [ExposedPort, ExposedPort])[] {
  const runs = new Map<string, ExposedPort[]>();
  for (const exposed of ports) {
    const { port, protocol } = exposed;
    const run = runs.get(`${protocol} ${port - 1}`) ?? [];
    runs.delete(`${protocol} ${port - 1}`);
    run.push(exposed);
    runs.set(`${protocol} ${port}`, run);
  }
  return [...runs.values()].flatMap((run) => {
    const [start, end] = [run[0], run.at(-1)];
    return start && end && run.length > 2 ? [[start, end] as const] : [];
  });
}

/** /etc/hosts can be written inside the container: one beyond this is left alone. */
const LARGEST_HOSTS = 1024 * 1024;

/** The container has addresses of this run: who is linked to it and runs finds it there. Never throws: its start is not theirs. */
export function refreshLinked(context: Context, target: Container): void {
  for (const container of context.registry.all()) {
    if (container === target || !isRunning(container.state)) continue;
    const links = usedLinks(context, container).filter((link) => link.target === target);
    if (links.length > 0) refreshHosts(context, container, links);
  }
}

/** The link is not the container's any more: it does not find it by the alias. Never throws. */
export function forgetLink(context: Context, container: Container, link: Link): void {
  if (isRunning(container.state)) refreshHosts(context, container, [link]);
}

function refreshHosts(context: Context, container: Container, links: readonly Link[]): void {
  try {
    rewriteHosts(context, container, new Set(links.map(hostNames)));
  } catch (error) {
    context.logger.log("warn", "a linked container's /etc/hosts could not be brought up to date", {
      container: container.id,
      error: errorMessage(error),
    });
  }
}

/** In place: the container has the file itself mounted. It is cut only when all is written: a full disk does not empty it. */
function rewriteHosts(context: Context, container: Container, stale: ReadonlySet<string>): void {
  const file = openSync(context.paths.networkFile(container.id, "hosts"), "r+");
  try {
    const buffer = Buffer.alloc(LARGEST_HOSTS + 1);
    const length = readSync(file, buffer, 0, buffer.length, 0);
    if (length > LARGEST_HOSTS) throw new EngineError("invalid", `it is larger than ${LARGEST_HOSTS} bytes`);
    const kept = buffer
      .toString("utf8", 0, length)
      .trimEnd()
      .split("\n")
      .filter((line) => !stale.has(line.replace(/^\S+\t/, "")));
    const wanted = linkHosts(context, container).filter((line) => stale.has(line.replace(/^\S+\t/, "")));
    const text = `${[...kept, ...wanted].join("\n")}\n`;
    writeFileSync(file, text);
    ftruncateSync(file, Buffer.byteLength(text));
  } finally {
    closeSync(file);
  }
}
