/** What clients of older API versions are answered, and what is made of their requests: the change log as data. */

import type { Reply, Route } from "./route.ts";
import type { ContainerCreateRequest } from "./types/container.ts";

type Json = Record<string, unknown>;

interface ReplyChange {
  /** "GET /images/json" */
  readonly on: string;
  /** Applies to versions under this minor one. */
  readonly below: number;
  /** Changes the object, or each object of the list, in place of a copy. */
  readonly change: (value: Json) => Json;
}

const virtualSize = (image: Json): Json => ({ ...image, VirtualSize: image.Size });

const REPLIES: readonly ReplyChange[] = [
  { on: "GET /images/json", below: 51, change: (image) => ({ ...image, Containers: -1 }) },
  { on: "GET /images/json", below: 44, change: virtualSize },
  {
    on: "GET /images/json",
    below: 43,
    change: (image) => ({
      ...image,
      RepoTags: orElse(image.RepoTags, "<none>:<none>"),
      RepoDigests: orElse(image.RepoDigests, "<none>@<none>"),
    }),
  },
  { on: "GET /images/{name}/json", below: 50, change: (image) => withConfig(image, EMPTY_RUN_CONFIG) },
  { on: "GET /images/{name}/json", below: 45, change: (image) => ({ ...image, Container: "", ContainerConfig: null }) },
  { on: "GET /images/{name}/json", below: 44, change: virtualSize },
  { on: "GET /containers/{id}/json", below: 45, change: withShortIdAlias },
  { on: "GET /info", below: 50, change: (info) => ({ ...info, BridgeNfIptables: false, BridgeNfIp6tables: false }) },
  { on: "POST /containers/{id}/wait", below: 34, change: ({ StatusCode }) => ({ StatusCode }) },
];

const EMPTY_RUN_CONFIG = {
  Hostname: "",
  Domainname: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: "",
};

export function adaptReply(route: Route, version: number, reply: Reply): Reply {
  if (reply.kind !== "json") return reply;
  const on = `${route.method} ${route.path}`;
  const changes = REPLIES.filter((row) => row.on === on && version < row.below);
  return changes.length === 0
    ? reply
    : { ...reply, value: changes.reduce((value, row) => apply(value, row.change), reply.value) };
}

function apply(value: unknown, change: ReplyChange["change"]): unknown {
  if (Array.isArray(value)) return value.map((item: Json) => change(item));
  return typeof value === "object" && value !== null ? change(value as Json) : value;
}

const orElse = (list: unknown, fallback: string): unknown =>
  Array.isArray(list) && list.length > 0 ? list : [fallback];

const withConfig = (image: Json, defaults: Json): Json => ({
  ...image,
  Config: { ...defaults, ...(image.Config as Json) },
});

function withShortIdAlias(container: Json): Json {
  const settings = container.NetworkSettings as
    | { Networks?: Record<string, { Aliases?: string[] | null }> }
    | undefined;
  if (settings?.Networks === undefined || typeof container.Id !== "string") return container;
  const short = container.Id.slice(0, 12);
  const networks = Object.entries(settings.Networks).map(([name, endpoint]) => [
    name,
    BUILT_IN.has(name) ? endpoint : { ...endpoint, Aliases: [...(endpoint.Aliases ?? []), short] },
  ]);
  return { ...container, NetworkSettings: { ...settings, Networks: Object.fromEntries(networks) } };
}

const BUILT_IN = new Set(["bridge", "host", "none"]);

interface CreateChange {
  readonly below: number;
  readonly change: (request: ContainerCreateRequest) => ContainerCreateRequest;
}

/** Defaults that older clients count on, and fields that did not exist for them. */
const CREATE: readonly CreateChange[] = [
  { below: 44, change: (request) => without(request, "Healthcheck", "StartInterval") },
  { below: 43, change: (request) => without(request, "HostConfig", "Annotations") },
  { below: 42, change: (request) => without(request, "HostConfig", "ConsoleSize") },
  { below: 41, change: (request) => withHostDefault(request, "CgroupnsMode", "host") },
  { below: 40, change: (request) => withHostDefault(request, "IpcMode", "shareable") },
];

export function adaptCreate(request: ContainerCreateRequest, version: number): ContainerCreateRequest {
  return CREATE.filter(({ below }) => version < below).reduce((adapted, { change }) => change(adapted), request);
}

function without(
  request: ContainerCreateRequest,
  part: "Healthcheck" | "HostConfig",
  field: string,
): ContainerCreateRequest {
  const value = request[part];
  return value === undefined ? request : { ...request, [part]: { ...value, [field]: undefined } };
}

function withHostDefault(
  request: ContainerCreateRequest,
  field: "CgroupnsMode" | "IpcMode",
  value: string,
): ContainerCreateRequest {
  if ((request.HostConfig?.[field] ?? "") !== "") return request;
  return { ...request, HostConfig: { ...request.HostConfig, [field]: value } };
}
